using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B33: a probe's INT3 stands on the second of two sites. text_poke_bp_list() finds that the code there is not what it should be, and recovers; and its recovery takes every INT3 on the
/// list for its own. Mended as in ftrace's use of the queue: every site is compared before the first is touched, so there is nothing to recover.
/// </summary>
/// <param name="comparesFirst">Whether that is done.</param>
internal sealed class RecoveredForeignInt3(bool comparesFirst) : GalleryScenario
{
    private const int SiteBytes = 5;

    private static readonly GuestAddress Function = Text + 0x100, Tracer = Text + 0x200;
    private Kprobe? _probe;

    public override string Name => $"text_poke_bp_list over a probe's INT3{(comparesFirst ? ", all sites compared first" : "")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.ForeignInt3Survives | Invariants.TrapsAreConsumed | Invariants.WaitsWithInterruptsOn;

    public override IEnumerable<Checker> MakeCheckers() => [new ArmedProbeHasItsInt3(() => _probe!)];

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        Kprobes.MapSlots(machine);
    }

    public override void Begin(ScenarioRun run)
    {
        for (var i = 0; i < 2; i++) run.AddSite(new(Function + (i * SiteBytes), FtraceRecords.NopReplace(), Branch(Call, Function + (i * SiteBytes), Tracer)));
        var patcher = Protocols.TextPokeBpList.Attach(run.Kernel);
        var probes = new Kprobes(run.Kernel);
        _probe = new(run.Kernel, "probe", run.Sites[1].Address);
        var (patching, probing) = (run.Machine.Cpus[0], run.Machine.Cpus[1]);
        patching.Start("text_poke_bp_list", comparesFirst ? CompareThenPatch(run, patcher) : run.Patch(patcher));
        probing.Rsp = StackOf(probing).Value;
        probing.Start("register_kprobe", [KernelStep.Call(probes.Register(_probe)), new CallGuest(Function)]);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Function, [.. FtraceRecords.NopReplace(), .. FtraceRecords.NopReplace(), Ret]);
        memory.Load(Tracer, [Ret]);
    }

    private static IEnumerable<KernelStep> CompareThenPatch(ScenarioRun run, IPatcher patcher)
    {
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        yield return context.TextMutex.Acquire();
        foreach (var site in run.Sites)
        {
            var actual = context.ProbeKernelRead(site.Address, site.Length);
            yield return actual;
            if (actual.Error == 0 && actual.Bytes.SequenceEqual(site.OldCode)) continue;
            context.Failure = new(Errno.Einval, "comparing", 0, site.Address, Recovered: true);
            break;
        }

        if (context.Failure is null) yield return KernelStep.Call(patcher.Apply(context, run.Sites));
        run.HasFailed = context.Failure is not null;
        yield return run.MarkPatched();
        yield return context.TextMutex.Release();
    }

    /// <summary>I11: at the end, where a probe says that it is armed, its INT3 stands.</summary>
    private sealed class ArmedProbeHasItsInt3(Func<Kprobe> probe) : Checker
    {
        public override Invariants Invariant => Invariants.ForeignInt3Survives;

        public override void End(ScenarioRun run)
        {
            var (armed, there) = (probe(), run.Machine.Memory.Read(probe().Address, SiteBytes));
            if (armed.State.Value == KprobeState.Armed && there[0] != BreakpointState.Int3)
                run.Report(Invariant, run.Machine.Cpus[0], armed.Address, $"{armed.Name} is armed, but its INT3 at {armed.Address} has been taken away: {Convert.ToHexStringLower(there)} stands there");
        }
    }
}
