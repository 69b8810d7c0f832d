using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>One question about code that is changed while CPUs execute it: a small situation, what must hold in it, and the verdict that is expected under each fetch model.</summary>
public sealed record LitmusTest
{
    /// <summary>Where it was read from.</summary>
    public required string File { get; init; }

    /// <summary>group/name.</summary>
    public required string Name { get; init; }

    public required string Question { get; init; }

    public required LitmusSituation Situation { get; init; }

    /// <summary>The same, wrong on purpose: no Pass counts unless this is caught.</summary>
    public required LitmusSituation Control { get; init; }

    /// <summary>The invariants that are checked. Exceptions nobody consumes, a BUG and waits without end count always.</summary>
    public required Invariants Keeps { get; init; }

    /// <summary>States in which no execution may end.</summary>
    public required IReadOnlyList<LitmusOutcome> Never { get; init; }

    /// <summary>States in which some execution must end, or a Pass would say nothing.</summary>
    public required IReadOnlyList<LitmusOutcome> Allowed { get; init; }

    /// <summary>In the order of the file.</summary>
    public required IReadOnlyList<LitmusExpectation> Expected { get; init; }

    public override string ToString() => Name;
}

/// <summary>What a litmus test expects under one model.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Verdict">What must come out.</param>
/// <param name="Reason">Why, in words.</param>
/// <param name="Line">The line of the file that says so, from 1.</param>
public sealed record LitmusExpectation(string Model, Verdict Verdict, string Reason, int Line);

/// <summary>What lies in memory, and who does what.</summary>
public sealed record LitmusSituation
{
    public IReadOnlyList<LitmusSite> Sites { get; init; } = [];

    public IReadOnlyList<LitmusVariable> Variables { get; init; } = [];

    /// <summary>What each CPU runs, by its number; a CPU may be left out.</summary>
    public IReadOnlyDictionary<int, LitmusProgram> Programs { get; init; } = new Dictionary<int, LitmusProgram>();

    /// <summary>What may come in on a CPU, at any time, once.</summary>
    public IReadOnlyList<LitmusInterrupt> Interrupts { get; init; } = [];

    public MemoryOrder Order { get; init; } = MemoryOrder.SequentiallyConsistent;

    /// <summary>How #BP enters its handler; null: as the model says.</summary>
    public GateType? Gate { get; init; }

    /// <summary>What the #BP handler of patchers that are written step by step does; null: there is none.</summary>
    public LitmusHandler? Handler { get; init; } = LitmusHandler.Skip;

    /// <summary>True when text can be written through the address that it is executed from.</summary>
    public bool TextIsWritable { get; init; }

    /// <summary>Operations of the patcher that fail.</summary>
    public IReadOnlyList<LitmusFault> Faults { get; init; } = [];

    public int Cpus => Math.Max(1, Programs.Keys.Concat(Interrupts.Select(i => i.Cpu)).Append(0).Max() + 1);
}

/// <summary>Code that is replaced by other code of the same length: an instruction, or several.</summary>
/// <param name="Name">As the programs call it.</param>
/// <param name="Old">What stands there.</param>
/// <param name="New">What shall stand there.</param>
/// <param name="Offset">Where in its 64-byte line it begins; null where it follows the site before it.</param>
public sealed record LitmusSite(string Name, LitmusCode Old, LitmusCode New, int? Offset)
{
    public int Length => Old.Length;
}

/// <summary>A variable in memory that all CPUs can read and write: eight bytes.</summary>
public sealed record LitmusVariable(string Name, long Initial);

/// <summary>An interrupt that may come in at any time: its handler runs the sites once.</summary>
public sealed record LitmusInterrupt(int Cpu, bool IsNmi);

/// <summary>A patcher's operation that fails: the n-th of its kind, with an error number.</summary>
public sealed record LitmusFault(Linux.FaultPoint Point, int Ordinal, int Errno);

/// <summary>What the #BP handler does with an INT3 at a site while patching is announced. All but the first and the last read the site's bytes.</summary>
public enum LitmusHandler
{
    /// <summary>Goes on behind the site, as if it were a nop.</summary>
    Skip,

    /// <summary>Does what the new instruction would do.</summary>
    EmulateNew,

    /// <summary>Does what the old instruction would do.</summary>
    EmulateOld,

    /// <summary>Goes back to the site and tries again.</summary>
    Retry,

    /// <summary>Waits in the handler, with interrupts as they are there, until the INT3 is gone from memory, and tries again.</summary>
    Spin,
}

/// <summary>What a CPU runs.</summary>
public abstract record LitmusProgram;

/// <summary>A protocol of the lab.</summary>
/// <param name="Protocol">Which; syncs may be left out of it.</param>
/// <param name="Sites">Which sites it patches; empty for all.</param>
public sealed record LitmusPatcher(IPatchProtocol Protocol, IReadOnlyList<string> Sites) : LitmusProgram;

/// <summary>Kernel code, step by step.</summary>
public sealed record LitmusSteps(IReadOnlyList<LitmusStep> Steps) : LitmusProgram;

/// <summary>Runs through all sites in a row.</summary>
public sealed record LitmusVisits(int Visits) : LitmusProgram;

/// <summary>Guest code.</summary>
public sealed record LitmusGuestCode(IReadOnlyList<LitmusInstruction> Instructions) : LitmusProgram;
