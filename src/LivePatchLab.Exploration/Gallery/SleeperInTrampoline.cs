using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B27: a task sleeps in the function that a BPF trampoline has called. No grace period of RCU tasks waits for it, and it returns into memory that is free.</summary>
/// <param name="countsTasks">Whether those inside are counted.</param>
internal sealed class SleeperInTrampoline(bool countsTasks) : GalleryScenario
{
    private const int ImageBytes = 64;

    private static readonly GuestAddress Main = Text + 0x100, Function = Text + 0x200, Image = Text + 0x400;

    public override string Name => $"bpf_tramp_image_put {(countsTasks ? "with a count of those inside" : "after synchronize_rcu_tasks alone")}";

    /// <summary>One patches, one sleeps, one wakes it.</summary>
    public override int Cpus => 3;

    public override Invariants CheckedUnder(FetchModel model) => Invariants.DescriptorOutlivesHandlers | Invariants.WaitsWithInterruptsOn;

    /// <summary>What is free is full of INT3.</summary>
    public override Invariants? ShownByFailure(ScenarioRun run)
        => run.Machine.Fault is { } fault && fault.Rip >= Image && fault.Rip < Image + ImageBytes ? Invariants.DescriptorOutlivesHandlers : null;

    public override void Begin(ScenarioRun run)
    {
        run.Machine.DeclareVolatile(Image, ImageBytes);
        var cpus = run.Machine.Cpus;
        var tasks = KernelTasks.In(run.Kernel);
        var image = new BpfTrampolineImage(run.Kernel, Image, ImageBytes, countsTasks);
        var task = tasks.Spawn(cpus[1], "sleeper", Main, StackOf(cpus[1]));
        cpus[0].Start("bpf_tramp_image_put", [task.Status.SpinUntil("is no longer Ready", s => s.State != TaskState.Ready), KernelStep.Call(image.Put(cpus[0]))]);
        cpus[2].Start("waker", [task.Status.SpinUntil("is Sleeping", s => s.State == TaskState.Sleeping), KernelStep.Call(tasks.Wake(cpus[2], task))]);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Main, [.. Branch(Call, Main, Image), .. Gate(GuestGate.Exit)]);
        memory.Load(Function, [.. Gate(GuestGate.Pause), Ret]);
        var enter = Gate(BpfTrampolineImage.GateEnter);
        memory.Load(Image, [.. enter, .. Branch(Call, Image + enter.Length, Function), .. Gate(BpfTrampolineImage.GateExit), Ret]);
    }
}
