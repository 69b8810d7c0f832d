using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// The code of a BPF trampoline, which is freed when its last program goes (kernel/bpf/trampoline.c). The function that it calls may sleep, and its return address
/// lies in the trampoline all the while: no grace period knows of that, only a count of those who are inside.
/// </summary>
/// <remarks>
///   updater                               task
///                                         in the trampoline: calls the function, which sleeps
///   nobody comes in any more
///   synchronize_rcu_tasks                 has scheduled itself: not waited for
///   [wait until nobody is inside]         e21aa341785c added this
///   free                                  wakes, returns into what is INT3s now (B27)
/// </remarks>
[KernelName("bpf_tramp_image", File = "include/linux/bpf.h", Version = "v6.1")]
public sealed class BpfTrampolineImage
{
    /// <summary>__bpf_tramp_enter(), as guest code calls it by <see cref="GuestGate"/>.</summary>
    public const int GateEnter = 0x1010;

    /// <summary>__bpf_tramp_exit()</summary>
    public const int GateExit = 0x1011;

    private readonly LinuxKernel _kernel;
    private readonly GuestAddress _image;
    private readonly int _length;
    private readonly bool _countsTasks;
    private readonly KernelVariable<int> _inside = new("bpf_tramp_image.pcref", 0);

    /// <param name="kernel">Where it lives. One image to a kernel.</param>
    /// <param name="image">Its first byte.</param>
    /// <param name="length">Its bytes.</param>
    /// <param name="countsTasks">False as it was before e21aa341785c: the grace period alone.</param>
    public BpfTrampolineImage(LinuxKernel kernel, GuestAddress image, int length, bool countsTasks = true)
    {
        (_kernel, _image, _length, _countsTasks) = (kernel, image, length, countsTasks);
        var gate = GuestGate.In(kernel);
        gate.Offer(GateEnter, "__bpf_tramp_enter", _ => [_inside.Update("+ 1", n => n + 1)]);
        gate.Offer(GateExit, "__bpf_tramp_exit", _ => [_inside.Update("- 1", n => n - 1)]);
    }

    /// <summary>True once its memory belongs to others.</summary>
    public bool IsFreed { get; private set; }

    /// <summary>bpf_tramp_image_put(): waits for those inside, as far as it knows of them, and frees the image. Nobody may be able to come in any more.</summary>
    /// <param name="cpu">The CPU that this runs on.</param>
    [KernelName("bpf_tramp_image_put", File = "kernel/bpf/trampoline.c", Version = "v6.1")]
    public IEnumerable<KernelStep> Put(Cpu cpu)
    {
        var rcu = Rcu.In(_kernel);
        yield return KernelStep.Call(rcu.SynchronizeTasks(cpu));
        if (_countsTasks)
        {
            yield return _inside.SpinUntil("is 0: percpu_ref_kill", n => n == 0);

            // Who has just gone out by __bpf_tramp_exit() still has the last instructions of the image before it.
            yield return KernelStep.Call(rcu.SynchronizeTasks(cpu));
        }

        // bpf_prog_pack_free() fills the hole with INT3.
        var fill = new byte[_length];
        Array.Fill(fill, BreakpointState.Int3);
        var poke = new TextPoke(_kernel, _image, fill);
        yield return poke;
        if (poke.Error != 0) yield return _kernel.RaiseBug($"bpf_tramp_image: {_image} cannot be filled");
        IsFreed = true;
        yield return new RunSync(_kernel);
    }
}
