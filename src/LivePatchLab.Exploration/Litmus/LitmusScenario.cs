using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>A litmus test, or its control, as a scenario to explore.</summary>
public sealed class LitmusScenario : Scenario
{
    private readonly LitmusSituation _situation;
    private readonly (int Cpu, LitmusProgram Program, GuestAddress? Entry)[] _programs;
    private readonly LitmusLayout _layout;
    private readonly IReadOnlyList<LitmusOutcome> _never;
    private readonly Invariants _keeps;

    /// <summary>What the test asks.</summary>
    public LitmusScenario(LitmusTest test, bool isControl = false)
        : this(isControl ? $"{test.Name}, control" : test.Name, isControl ? test.Control : test.Situation, test.Keeps, test.Never)
    {
    }

    /// <summary>A situation, and what must hold in it.</summary>
    public LitmusScenario(string name, LitmusSituation situation, Invariants keeps)
        : this(name, situation, keeps, [])
    {
    }

    private LitmusScenario(string name, LitmusSituation situation, Invariants keeps, IReadOnlyList<LitmusOutcome> never)
    {
        Name = name;
        _situation = situation;
        _keeps = keeps;
        _never = never;
        _layout = new(situation);
        _programs = [.. situation.Programs.Select(p => (p.Key, p.Value, _layout.EntryOf(p.Key)))];
        Cpus = situation.Cpus;
    }

    /// <summary>Looks only for executions that end in an outcome of the test that must be possible: each is reported as if it were forbidden.</summary>
    public static LitmusScenario Reaching(LitmusTest test, LitmusOutcome outcome) => new($"{test.Name}: {outcome}", test.Situation, Invariants.None, [outcome]);

    public override string Name { get; }

    public override int Cpus { get; }

    public override MemoryOrder MemoryOrder => _situation.Order;

    public override Invariants CheckedUnder(FetchModel model) => _keeps;

    public override IEnumerable<Checker> MakeCheckers() => _never.Count > 0 ? [new LitmusOutcomeChecker(_situation, _layout, _never)] : [];

    public override void LayOut(SmpMachine machine) => _layout.LayOut(machine);

    public override void Begin(ScenarioRun run)
    {
        var kernel = run.Kept as LitmusKernel ?? new(run, _situation, _layout);
        run.Kept = kernel;
        kernel.Restart();

        // Interrupts call code of the guest, also on a CPU that runs none itself.
        for (var i = 0; i < Cpus; i++) run.Machine.Cpus[i].Rsp = LitmusLayout.StackOf(i).Value;
        foreach (var (number, program, entry) in _programs)
        {
            var cpu = run.Machine.Cpus[number];
            switch (program)
            {
                case LitmusPatcher patcher:
                    cpu.Start(patcher.Protocol.Name, kernel.Patch(cpu, patcher));
                    break;
                case LitmusSteps steps:
                    cpu.Start("patcher", kernel.Run(cpu, steps));
                    break;
                default:
                    cpu.StartGuest(entry!.Value, LitmusLayout.StackOf(number));
                    break;
            }
        }

        if (_situation.Interrupts.Count == 0) return;
        foreach (var interrupt in _situation.Interrupts)
            run.Machine.Cpus[interrupt.Cpu].ArmInterrupt(interrupt.IsNmi ? "NMI" : "interrupt", _ => [new CallGuest(_layout.VisitOnce)], interrupt.IsNmi);
    }
}
