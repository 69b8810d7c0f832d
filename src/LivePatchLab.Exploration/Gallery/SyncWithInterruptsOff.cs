using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The other half of B23: two CPUs with interrupts off wait for each other's answer to an IPI. ftrace's run_sync() of 2012 turned them on around the wait.</summary>
/// <param name="turnsOn">Whether that is done.</param>
internal sealed class SyncWithInterruptsOff(bool turnsOn) : GalleryScenario
{
    public override string Name => $"two run_sync with interrupts off, {(turnsOn ? "turned on around the wait" : "and left so")}";

    /// <summary>Nothing but the deadlock itself is looked for, which shows whatever is checked.</summary>
    public override Invariants CheckedUnder(FetchModel model) => Invariants.None;

    public override void Begin(ScenarioRun run)
    {
        foreach (var cpu in run.Machine.Cpus) cpu.Start("run_sync", Sync(run.Kernel));
    }

    protected override void LayOutCode(GuestMemory memory)
    {
    }

    private IEnumerable<KernelStep> Sync(LinuxKernel kernel)
    {
        yield return InterruptFlag.Off;
        if (turnsOn) yield return InterruptFlag.On;
        yield return new RunSync(kernel);
        if (turnsOn) yield return InterruptFlag.Off;
        yield return InterruptFlag.On;
    }
}
