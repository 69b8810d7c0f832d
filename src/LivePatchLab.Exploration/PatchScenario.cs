using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// The plain situation: CPU 0 patches, the others come by. Each executor runs through all sites in a row, some times over; a site calls one of
/// two functions that only count, or is a nop.
/// </summary>
public sealed class PatchScenario : Scenario
{
    /// <summary>R12 and R13 of an executor count the calls of the old and of the new function.</summary>
    public const int OldCallsRegister = 12, NewCallsRegister = 13;

    private static readonly Action<Cpu> Done = cpu => cpu.StopGuest();

    private readonly IPatchProtocol _protocol;
    private readonly PatchProgram _program;

    /// <param name="protocol">How the sites are patched.</param>
    /// <param name="shape">What is patched, and who comes by.</param>
    public PatchScenario(IPatchProtocol protocol, PatchShape? shape = null)
    {
        _protocol = protocol;
        Shape = shape ?? new();
        _program = new(Shape);
    }

    public PatchShape Shape { get; }

    /// <summary>
    /// What is checked instead, and reported alone; null for what the protocol promises that can be observed, and every failure of the machine. I3 and I4 are about
    /// the means by which I2 is kept: where one is broken and nothing comes of it, that is no counterexample unless it is asked for.
    /// </summary>
    public Invariants? CheckedOnly { get; init; }

    public override string Name => $"{_protocol.Name}: {Shape}";

    public override int Cpus => 1 + Shape.Executors;

    public override MemoryOrder MemoryOrder => Shape.MemoryOrder;

    public override bool ReportsOnlyWhatIsChecked => CheckedOnly is not null;

    public override Invariants CheckedUnder(FetchModel model) => CheckedOnly ?? (_protocol.PromisesUnder(model) & ~Checkers.OfMeans);

    public override void LayOut(SmpMachine machine) => _program.Load(machine);

    public override void Begin(ScenarioRun run)
    {
        var machine = run.Machine;
        var sites = run.Kept as PatchSite[] ?? [.. _program.Sites.Select(site => new PatchSite(site.Address, site.Old, site.New))];
        run.Kept = sites;
        run.AddAgain(sites);
        machine.SystemCall = Done;
        var patcher = _protocol.Attach(run.Kernel);
        if (Shape.UserMode != UserModeEntry.None) DeferredSync.In(run.Kernel);
        if (machine.SystemCall is { } gate && gate != Done)
        {
            machine.SystemCall = cpu =>
            {
                if (cpu.Rax == 0) cpu.StopGuest();
                else gate(cpu);
            };
        }

        if (Shape.ForeignInt3) StandInt3(run);
        machine.Cpus[0].Start(_protocol.Name, run.Patch(patcher));
        var effects = Shape.Visits * Shape.Sites;
        var counts = Shape.From is SiteCode.CallOld or SiteCode.CallNew or SiteCode.SlotOld or SiteCode.SlotNew && Shape.To != SiteCode.Nop;
        for (var i = 1; i <= Shape.Executors; i++)
        {
            machine.Cpus[i].Registers[PatchProgram.VisitsRegister] = (ulong)Shape.Visits;
            machine.Cpus[i].StartGuest(_program.Entry, PatchProgram.StackOf(i), Shape.IsUser);
            run.ExpectEffects(machine.Cpus[i], least: counts ? effects : 0, most: effects);
        }
    }

    /// <summary>Its owner comes behind the protocol in do_int3(), and has nothing to do but count: the instruction behind it is the next.</summary>
    private void StandInt3(ScenarioRun run)
    {
        var hits = 0;
        var address = _program.ForeignInt3;
        run.AddForeignInt3(address, "another owner", () => hits);
        run.Kernel.RegisterInt3Handler(Handle);

        IEnumerable<KernelStep> Handle(Cpu cpu, TrapFrame regs)
        {
            if (regs.Rip - 1 != address) yield break;
            hits++;
            regs.Consumed = true;
        }
    }
}
