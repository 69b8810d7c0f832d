using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B13: a probe is removed while a CPU comes by. Without the sync of 5c02ece81848, the CPU executes an INT3 that it fetched before, and finds no probe:
/// synchronize_rcu() waits for handlers, and a fetched INT3 is none yet.
/// </summary>
/// <remarks>
///   patcher                    executor
///                              fetches INT3
///   text[0] = old
///   table -= probe
///   synchronize_rcu; free
///                              #BP: no probe
/// </remarks>
internal sealed class UnregisteredProbe(KprobesOptions options) : ProbedCode
{
    /// <summary>A checker beside the lab's own.</summary>
    public Checker? Oracle { get; init; }

    public override string Name => $"a probe goes{(options.SynchronisesCores ? "" : ", with no sync")}{(options.RetriesVanished ? ", and its handler retries" : "")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.TrapsAreConsumed | Invariants.DescriptorOutlivesHandlers;

    public override void Begin(ScenarioRun run)
    {
        var probes = run.Kernel.Globals(kernel => new Kprobes(kernel, options));
        var probe = new Kprobe(run.Kernel, "kprobe", Site);
        var armed = new KernelVariable<bool>("armed", false);
        var (unregistering, executing) = (run.Machine.Cpus[0], run.Machine.Cpus[1]);
        run.AddSite(new(Site, SiteCode[..1].ToArray(), newCode: null));
        unregistering.Start("kprobe", [KernelStep.Call(probes.Register(probe)), armed.Store(true), KernelStep.Call(probes.Unregister(probe))]);
        executing.StartGuest(Site, StackTop);
        executing.Start("wait for the probe", [armed.SpinUntil("is true", isArmed => isArmed)]);
    }

    public override IEnumerable<Checker> MakeCheckers() => Oracle is null ? [] : [Oracle];
}

/// <summary>
/// B13, the other half: a probe is armed without a sync, and becomes a jump. A CPU that never saw the INT3 executes the first instruction as it was, after the
/// wait for tasks, and stands in front of the second when that is written over.
/// </summary>
/// <remarks>
///   patcher                    executor
///   text[0] = int3             has fetched the old instruction
///   synchronize_rcu_tasks      schedules, which does not serialise
///                              executes the old instruction
///   text[1..4] = displacement  stands in front of it
/// </remarks>
internal sealed class OptimisedProbe(KprobesOptions options) : ProbedCode
{
    private static GuestAddress Entry => Site - Yield.Length;

    /// <summary>mov eax, sched_yield; syscall.</summary>
    private static ReadOnlySpan<byte> Yield => [0xb8, GuestGate.SchedYield, 0x00, 0x00, 0x00, 0x0f, 0x05];

    public override string Name => $"a probe is armed{(options.SynchronisesCores ? "" : ", with no sync")}, and becomes a jump";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NobodyInside;

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        machine.Memory.Load(Entry, Yield);
    }

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, SiteCode.ToArray(), newCode: null));
        var probes = new Kprobes(run.Kernel, options);
        var probe = new Kprobe(run.Kernel, "kprobe", Site);
        var armed = new KernelVariable<bool>("armed", false);
        var (patching, executing) = (run.Machine.Cpus[0], run.Machine.Cpus[1]);
        patching.Start("kprobe", [KernelStep.Call(probes.Register(probe)), armed.Store(true), KernelStep.Call(probes.Optimise(patching, probe))]);
        executing.StartGuest(Entry, StackTop);
        executing.Start("wait for the probe", [armed.SpinUntil("is true", isArmed => isArmed)]);
    }

    public override IEnumerable<Checker> MakeCheckers() => [new NobodyParkedInside()];
}
