using System.Text;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>
/// A program on a machine of its own, to be looked at while it runs: by steps, to breakpoints, or to its end. A run that was
/// stopped on its way ends in the same <see cref="Hash"/> as one that was not; only <see cref="Step(Cpu)"/> makes another run.
/// </summary>
public sealed class Program : IDisposable
{
    private readonly UserProgram _program;
    private readonly MemoryStream _output = new();
    private readonly MemoryStream _errors = new();

    private Program(ProgramImage image, MachineOptions options, IReadOnlyList<string> arguments)
    {
        Image = image;
        Machine = new(options);
        _program = new(Machine, image, arguments, _output, _errors);
    }

    public ProgramImage Image { get; }

    public SmpMachine Machine { get; }

    public IReadOnlyList<Cpu> Cpus => Machine.Cpus;

    /// <summary>What it has written to file 1 so far, read as UTF-8.</summary>
    public string Output => Encoding.UTF8.GetString(_output.GetBuffer(), 0, (int)_output.Length);

    /// <summary>What it has written to file 2 so far.</summary>
    public string Errors => Encoding.UTF8.GetString(_errors.GetBuffer(), 0, (int)_errors.Length);

    /// <summary>How it ended; null while it has not.</summary>
    public ProgramEnd? End => _program.End;

    /// <summary>Its exit status, or 128 and the signal's number after a fault; null while it has not ended.</summary>
    public int? ExitStatus => End?.Status;

    public IReadOnlyList<GuestValue> Breakpoints => [.. Machine.Debugger.Breakpoints.Select(at => GuestValue.Of(Machine, at.Value))];

    /// <summary>Loads a static freestanding ELF into a new machine. Every CPU stands at the entry, RDI = its number, RSI = how many there are.</summary>
    /// <param name="path">The program; or the name of one that travels with the lab: <see cref="EmbeddedGuests.Names"/>.</param>
    /// <param name="cpus">1 to <see cref="MachineOptions.CpusMax"/>.</param>
    /// <param name="seed">What all chance is drawn from: same seed, same run.</param>
    /// <param name="quantum">The most cycles by which a CPU may run ahead of the one furthest behind.</param>
    /// <param name="arguments">The program's, without its name.</param>
    /// <param name="engine">What executes its code; the outcome is the same.</param>
    /// <exception cref="PlatformNotSupportedException">The translator was asked for, and this host cannot run it.</exception>
    /// <exception cref="BadInputException">The file is not there or is not such a program, or a number is out of reach.</exception>
    public static Program Load(string path, int cpus = 1, ulong seed = 1, int quantum = 1000, IReadOnlyList<string>? arguments = null, ExecutionEngine engine = ExecutionEngine.Auto)
    {
        if (cpus is < 1 or > MachineOptions.CpusMax) throw new BadInputException($"{cpus} CPUs: a machine has 1 to {MachineOptions.CpusMax} CPUs");
        if (quantum < 1) throw new BadInputException($"a quantum of {quantum} cycles: it has at least 1");
        return new(EmbeddedGuests.Open(path), new() { Cpus = cpus, Choices = new SeededChoices(new Seed(seed)), QuantumCyclesMax = quantum, Engine = engine }, arguments ?? []);
    }

    /// <summary>Runs to a breakpoint or to the program's end.</summary>
    public DebuggerStop Run(CancellationToken cancellation = default) => Go(debugger => debugger.Run(cancellation));

    /// <summary>Runs until some CPU is about to execute the instruction at a place: "increment", "increment+4", "0x401136", "[rsp]".</summary>
    /// <exception cref="BadInputException">No code is there.</exception>
    public DebuggerStop RunUntil(string place, CancellationToken cancellation = default) => Go(debugger => debugger.RunUntil(place, cancellation));

    /// <summary>Lets guest instructions retire on the CPUs whose turn it is, so many on all together; a breakpoint ends it earlier.</summary>
    public DebuggerStop Step(long instructions = 1, CancellationToken cancellation = default)
        => instructions >= 1 ? Go(debugger => debugger.Step(instructions, cancellation)) : throw new BadInputException($"{instructions} instructions: a step has at least 1");

    /// <summary>Lets one instruction retire on this CPU, whoever's turn it is: so interleavings are made by hand.</summary>
    /// <exception cref="BadInputException">The CPU is not the program's, or executes nothing any more.</exception>
    public DebuggerStop Step(Cpu cpu)
    {
        if (cpu.Machine != Machine) throw new BadInputException($"{cpu.Id} belongs to another machine");
        return cpu.Activity == CpuActivity.Guest || End is not null ? Go(debugger => debugger.Step(cpu)) : throw new BadInputException($"{cpu.Id} has ended: it has no instruction to step");
    }

    /// <summary>Has <see cref="Run"/> stop before any CPU executes the instruction at a place.</summary>
    /// <exception cref="BadInputException">No code is there.</exception>
    public GuestValue Break(string place) => Machine.Debugger.Break(place);

    /// <summary>Takes a breakpoint away; false where there was none.</summary>
    /// <exception cref="BadInputException">No code is there.</exception>
    public bool RemoveBreak(string place) => Machine.Debugger.Remove(place);

    /// <summary>A function, or the code from a place on up to the next symbol, with the CPUs that stand in it.</summary>
    /// <exception cref="BadInputException">No code is there.</exception>
    public CodeListing Disassemble(string place, int instructions = 64) => Machine.DisassembleFunction(Cpus[0].Eval(place), instructions).ShowingCpus(Machine);

    /// <summary>Memory from a place on: a symbol, an address, an expression on CPU 0's registers.</summary>
    /// <exception cref="BadInputException">It is no such expression.</exception>
    public MemoryDump Memory(string place, int bytes = 64) => Cpus[0].Memory(place, bytes);

    /// <summary>The fingerprint of registers, clocks and memory.</summary>
    public StateHash Hash() => Machine.Hash();

    public void Dispose() => Machine.Dispose();

    public override string ToString() => $"{Image.Source} on {Cpus.Count} CPUs: {StateOf(End)}";

    private DebuggerStop Go(Func<Debugger, DebuggerStop> run)
    {
        // What has ended stays as it is, and says so again.
        var stop = End is null ? run(Machine.Debugger) : new(Machine.Fault is null ? MachineStop.Idle : MachineStop.Fault, Machine.Fault?.Cpu, Machine.Fault?.Rip, "");
        return End is { } end ? stop with { Text = StateOf(end) } : stop;
    }

    private static string StateOf(ProgramEnd? end) => end is null ? "has not ended" : end.Message ?? $"ended with status {end.Status}";
}
