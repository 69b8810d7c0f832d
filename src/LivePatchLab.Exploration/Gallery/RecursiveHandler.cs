using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B19: on its way the handler of #BP calls a function that is just being patched, traps in it, calls it again, and so on. Mended as bsearch() was: the handler has a
/// copy of its own, which nobody patches.
/// </summary>
/// <param name="hasOwnCopy">Whether what the handler calls is out of the patcher's reach.</param>
internal sealed class RecursiveHandler(bool hasOwnCopy) : GalleryScenario
{
    private static readonly GuestAddress Main = Text + 0x100, Helper = Text + 0x200, OwnCopy = Text + 0x240, Tracer = Text + 0x280;

    public override string Name => $"a #BP handler that calls {(hasOwnCopy ? "its own copy of a helper" : "a helper that is being patched")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.HandlerIsNotPatched | Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.WaitsWithInterruptsOn;

    public override IEnumerable<Checker> MakeCheckers() => [new NoTrapInItsOwnHandler()];

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Helper, FtraceRecords.NopReplace(), Branch(Call, Helper, Tracer)));
        run.Kernel.RegisterInt3Handler(Notify);
        run.Machine.Cpus[0].Start("enable tracing", run.Patch(Protocols.TextPokeBp.Attach(run.Kernel)));
        StartGuest(run.Machine.Cpus[1], Main);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Main, [.. Branch(Call, Main, Helper), 0x0f, 0x05]);
        memory.Load(Helper, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(OwnCopy, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(Tracer, [Ret]);
    }

    /// <summary>Asked before the patcher's own handler, as the chain of notifiers was.</summary>
    private IEnumerable<KernelStep> Notify(Cpu cpu, TrapFrame regs)
    {
        yield return new CallGuest(hasOwnCopy ? OwnCopy : Helper);
    }

    /// <summary>I8: a #BP at a site on a stack on which the handler of another is still under way.</summary>
    private sealed class NoTrapInItsOwnHandler : Checker
    {
        private readonly Dictionary<int, GuestAddress> _stacks = [];

        public override Invariants Invariant => Invariants.HandlerIsNotPatched;

        public override void Begin(ScenarioRun run) => _stacks.Clear();

        public override void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame)
        {
            if (frame.Vector != TrapVector.Breakpoint || !run.Sites.Any(site => site.Address == frame.Rip - 1)) return;

            // Each guest comes by once, so a trap further down its stack is the handler's own.
            if (_stacks.TryGetValue(cpu.Id.Index, out var outer) && frame.Rsp < outer - 128)
                run.Report(Invariant, cpu, frame.Rip - 1, $"#BP at {frame.Rip - 1} inside the handler of the #BP there: it calls what is being patched, and never comes to its end");
            _stacks[cpu.Id.Index] = frame.Rsp;
        }
    }
}
