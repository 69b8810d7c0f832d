using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B29: membarrier(PRIVATE_EXPEDITED_SYNC_CORE) counts on an IPI to make its target serialise. But the delivery of an interrupt does not, and the IRET never comes where the handler ends
/// in a switch to a thread of the same process that was in a system call: that goes back by SYSRET. Mended by sync_core() in the handler.
/// </summary>
/// <param name="syncsInHandler">Whether it is there.</param>
internal sealed class MembarrierSyncCore(bool syncsInHandler) : GalleryScenario
{
    private static readonly GuestAddress Yielding = Text + 0x100, Working = Text + 0x180, Site = Text + 0x206, Target = Text + 0x280;

    public override string Name => $"membarrier SYNC_CORE {(syncsInHandler ? "with" : "without")} sync_core in its IPI";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NewAfterReturn;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, FtraceRecords.NopReplace(), Branch(Call, Site, Target)));
        var (tasks, cpu) = (KernelTasks.In(run.Kernel), run.Machine.Cpus[1]);
        tasks.Spawn(cpu, "thread in a system call", Yielding, StackOf(cpu), isUser: true);
        tasks.Spawn(cpu, "thread at work", Working, StackOf(cpu) - 256, isUser: true);
        run.Machine.Cpus[0].Start("jit", WriteCode(run, tasks));
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Yielding, [.. Gate(GuestGate.SchedYield), .. Gate(GuestGate.Exit)]);
        memory.Load(Working, [0x90, .. Gate(GuestGate.Exit)]);
        memory.Load(Site, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(Target, [Ret]);
    }

    private IEnumerable<KernelStep> WriteCode(ScenarioRun run, KernelTasks tasks)
    {
        yield return new StoreCode(Site, run.Sites[0].NewCode, 0);
        yield return new CallFunction(new IpiMb(tasks, syncsInHandler), wait: true);
        yield return SyncCore.Here;

        // From here on the process's threads may be told of the code.
        yield return run.MarkPatched();
    }

    /// <summary>ipi_mb(), or ipi_sync_core(), and what a rescheduling interrupt that came at the same time has the way out of it do.</summary>
    private sealed class IpiMb(KernelTasks tasks, bool syncs) : IpiFunction
    {
        public override string Name => syncs ? "ipi_sync_core" : "ipi_mb";

        public override bool IsIndivisible => false;

        public override IEnumerable<KernelStep> Steps(Cpu cpu) => Handle(cpu, tasks.Preempt(cpu));

        private IEnumerable<KernelStep> Handle(Cpu cpu, IEnumerable<KernelStep> preempt)
        {
            if (syncs) yield return SyncCore.Here;
            var interrupted = tasks.CurrentOn(cpu);
            yield return KernelStep.Call(preempt);
            var next = tasks.CurrentOn(cpu);
            if (next != interrupted && next.Status.Value.VoluntarySchedules > 0) yield return new ScenarioStep($"{next.Name} goes back by SYSRET", c => c.LeaveBySystemReturn());
        }
    }
}
