using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B14: until 2022 the handler of probes goes back to an INT3 that has no probe and is not there any more. Where it was another's, removed while the trap
/// was under way, its owner never hears of a trap that it waits for.
/// </summary>
/// <remarks>
///   owner                      executor
///                              #BP; no probe here
///   text[0] = old; sync ...
///                              the text holds no INT3: back to it
///   armed = false
/// </remarks>
internal sealed class StolenInt3(KprobesOptions options) : ProbedCode
{
    public override string Name => $"another's INT3 goes{(options.RetriesVanished ? ", and the handler of probes retries" : "")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.TrapsAreConsumed | Invariants.ForeignInt3Survives;

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        machine.Memory.Load(Site, BreakpointState.Int3Opcode.Span);
    }

    public override void Begin(ScenarioRun run)
    {
        run.Machine.DeclareVolatile(Site, 1);
        _ = new Kprobes(run.Kernel, options);
        var owner = run.Kernel.Globals(_ => new Int3Owner());
        run.Kernel.RegisterInt3Handler(owner.Handle);
        run.Machine.Cpus[0].Start("the INT3's owner", owner.Remove(new(run.Kernel, run.Machine.Cpus[0])));
        run.Machine.Cpus[1].StartGuest(Site, StackTop);
    }

    public override IEnumerable<Checker> MakeCheckers() => [new EachTrapIsDelivered()];

    /// <summary>One who has an INT3 on the site, and gives it up as it should: text, sync, and only then its record.</summary>
    private sealed class Int3Owner
    {
        private readonly KernelVariable<bool> _armed = new("owner.armed", true);

        public KernelVariable<int> Hits { get; } = new("owner.hits", 0);

        public IEnumerable<KernelStep> Remove(PatchContext kernel)
        {
            yield return kernel.TextPoke(Site, SiteCode[..1].ToArray());
            yield return kernel.RunSync();
            yield return _armed.Store(false);
        }

        public IEnumerable<KernelStep> Handle(Cpu cpu, TrapFrame regs)
        {
            var armed = _armed.Load();
            yield return armed;
            if (!armed.Value || regs.Rip != Site + 1) yield break;
            yield return Hits.Update("+ 1", hits => hits + 1);

            // It stands on a nop: behind the INT3 the task goes on as it would have.
            regs.Consumed = true;
        }
    }

    /// <summary>I11: every trap of the owner's INT3 reaches the owner.</summary>
    private sealed class EachTrapIsDelivered : Checker
    {
        private int _traps;

        public override Invariants Invariant => Invariants.ForeignInt3Survives;

        public override void Begin(ScenarioRun run) => _traps = 0;

        public override void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame)
        {
            if (frame.Vector == TrapVector.Breakpoint && frame.Rip == Site + 1) _traps++;
        }

        public override void End(ScenarioRun run)
        {
            var hits = run.Kernel.Globals(_ => new Int3Owner()).Hits.Value;
            if (hits != _traps) run.Report(Invariant, run.Machine.Cpus[1], Site, $"the owner of the INT3 at {Site} was told of {hits} traps, and there was {_traps}");
        }
    }
}
