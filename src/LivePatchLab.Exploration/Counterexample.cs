using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>An invariant that did not hold.</summary>
/// <param name="Invariant">Which one; a single flag, or none for an outcome that a scenario forbids by itself.</param>
/// <param name="Cpu">On which CPU it was seen.</param>
/// <param name="ClockCycles">When, by that CPU's clock.</param>
/// <param name="Address">Where in the code, or the default where it is about no place.</param>
/// <param name="Detail">In words, with the bytes: what was seen, and what would have been right.</param>
public sealed record InvariantViolation(Invariants Invariant, CpuId Cpu, long ClockCycles, GuestAddress Address, string Detail)
{
    public override string ToString() => Invariant == Invariants.None ? $"forbidden, on {Cpu}: {Detail}" : $"{Invariant.Show()} violated on {Cpu}: {Detail}";
}

/// <summary>What a line of a trace is about.</summary>
public enum TraceKind
{
    /// <summary>A step of a kernel routine.</summary>
    Step,

    /// <summary>A guest instruction.</summary>
    Instruction,

    /// <summary>An exception was delivered.</summary>
    Trap,

    /// <summary>An IPI or interrupt was taken.</summary>
    Interrupt,

    /// <summary>A non-maskable interrupt was taken.</summary>
    NonMaskableInterrupt,

    /// <summary>A handler returned by IRET.</summary>
    Return,

    /// <summary>A store left its CPU's store buffer.</summary>
    Drain,

    /// <summary>What was violated.</summary>
    Violation,
}

/// <summary>One line of what happened: one CPU did one thing.</summary>
/// <param name="Ordinal">Place in the run, from 0; all CPUs together.</param>
/// <param name="Cpu">Who.</param>
/// <param name="ClockCycles">When it began, by the CPU's clock.</param>
/// <param name="DurationCycles">How long it took.</param>
/// <param name="Kind">What sort of thing.</param>
/// <param name="Routine">The kernel routine it belongs to, or null for guest code.</param>
/// <param name="Text">What, in a few words.</param>
public sealed record TraceEntry(int Ordinal, CpuId Cpu, long ClockCycles, long DurationCycles, TraceKind Kind, string? Routine, string Text)
{
    /// <summary>The instruction's address; the default for what is no instruction.</summary>
    public GuestAddress Rip { get; init; }

    /// <summary>The bytes that the CPU was given for the instruction; empty for what is no instruction.</summary>
    public IReadOnlyList<byte> Fetched { get; init; } = [];

    /// <summary>True when memory held other bytes than the CPU was given.</summary>
    public bool IsStale { get; init; }

    /// <summary>True when the bytes are of versions that memory never held together.</summary>
    public bool IsTorn { get; init; }

    /// <summary>The ordinal of the entry that brought it about, where that is known: who sent the IPI, who woke the CPU.</summary>
    public int? CausedBy { get; init; }
}

/// <summary>What memory held at a site from one moment on.</summary>
/// <param name="Ordinal">That of the trace entry that wrote it; -1 for what was there at the start.</param>
/// <param name="Site">The site's first byte.</param>
/// <param name="Bytes">All bytes of the site.</param>
public sealed record SiteVersion(int Ordinal, GuestAddress Site, IReadOnlyList<byte> Bytes);

/// <summary>A run that violates an invariant, as short as the lab could make it, with all that is needed to run it again.</summary>
public sealed record Counterexample
{
    public required string Scenario { get; init; }

    public required FetchModel Model { get; init; }

    public required InvariantViolation Violation { get; init; }

    /// <summary>In, the same run out.</summary>
    public required DecisionList Decisions { get; init; }

    /// <summary>The seed whose run first showed it, where it was found by chance.</summary>
    public Seed? Seed { get; init; }

    /// <summary>How many executions it took to find it, this one included.</summary>
    public required long Executions { get; init; }

    /// <summary>The machine's fingerprint at the violation.</summary>
    public required StateHash StateHash { get; init; }

    /// <summary>What each CPU did, in the order in which it happened.</summary>
    public required IReadOnlyList<TraceEntry> Entries { get; init; }

    /// <summary>The bytes of the sites over time, in the order of the entries.</summary>
    public required IReadOnlyList<SiteVersion> SiteHistory { get; init; }

    /// <summary>CPUs of the machine; some may have no entry.</summary>
    public required int Cpus { get; init; }
}
