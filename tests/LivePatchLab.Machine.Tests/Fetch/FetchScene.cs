namespace LivePatchLab.Machine.Tests;

/// <summary>
/// A small play on a whole machine: CPU 1 executes guest code, one instruction in a thousand cycles, and CPU 0 does steps in between,
/// each just before an instruction of CPU 1 that the test names by its number, from 1.
/// </summary>
internal sealed class FetchScene
{
    public const long InstructionCycles = 1000;

    public static readonly GuestAddress Code = new(0x400000);

    private static readonly CostModel Costs = CostModel.Unit with { Instruction = new(InstructionCycles, "so that steps come in between") };

    private readonly List<(int Before, KernelStep Step)> _steps = [];

    public required byte[] Guest { get; init; }

    public GuestAddress Start { get; init; } = Code;

    /// <summary>Where <see cref="Guest"/> stands.</summary>
    public GuestAddress Place { get; init; } = Code;

    /// <summary>What CPU 1 does as a kernel routine before it executes guest code.</summary>
    public Func<IEnumerable<KernelStep>>? Prologue { get; init; }

    /// <summary>What else there is to set up.</summary>
    public Action<SmpMachine>? Setup { get; init; }

    /// <summary>What CPU 1 has seen in the end; the fault that it died of comes by itself.</summary>
    public Func<Cpu, string> Outcome { get; init; } = cpu => $"{cpu.Registers[0]:x} {cpu.Registers[3]:x}";

    public FetchScene Store(int before, long offset, params byte[] bytes) => Do(before, () => new StoreCode(Code + offset, bytes, costCycles: 0));

    public FetchScene Do(int before, Func<KernelStep> step)
    {
        _steps.Add((before, new Made(step)));
        return this;
    }

    /// <summary>All that can come out under a model.</summary>
    public string[] Outcomes(FetchModel model) => ExhaustiveChoices.Of(choices => Run(model, choices)).Outcomes;

    public string Run(FetchModel model, IChoiceSource choices)
    {
        using var machine = new SmpMachine(new() { Cpus = 2, Costs = Costs, Fetch = model, Choices = choices, QuantumCyclesMax = 1 });
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        machine.Memory.Map(Code + 0x10000, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(Place, Guest);
        Setup?.Invoke(machine);
        machine.Cpus[1].StartGuest(Start, Code + 0x10800);
        if (Prologue is not null) machine.Cpus[1].Start("prologue", Prologue());
        machine.Cpus[0].Start("patcher", Steps());
        var stop = machine.Run(clockLimitCycles: 200 * InstructionCycles);
        if (machine.Fault is { } fault) return fault.Vector.Mnemonic();
        stop.ShouldBe(MachineStop.Idle, "CPU 1 comes to its HLT");
        return Outcome(machine.Cpus[1]);
    }

    private IEnumerable<KernelStep> Steps()
    {
        var clock = 0L;
        foreach (var (before, step) in _steps.OrderBy(s => s.Before))
        {
            // Half an instruction early: CPU 1 has begun with the one before, and takes no time within it.
            var due = (before * InstructionCycles) - (InstructionCycles / 2);
            if (due > clock) yield return new Delay(due - clock);
            clock = Math.Max(clock, due);
            yield return ((Made)step).Make();
        }
    }

    /// <summary>A step belongs to one run, and a scene is run many times.</summary>
    private sealed class Made(Func<KernelStep> make) : KernelStep
    {
        public KernelStep Make() => make();

        public override string Describe() => "made anew for each run";

        protected internal override long Execute(Cpu cpu) => throw new NotSupportedException("it is what it makes that is executed");
    }
}
