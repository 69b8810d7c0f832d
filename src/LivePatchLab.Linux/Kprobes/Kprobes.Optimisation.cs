using System.Buffers.Binary;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Optimised probes: a jump instead of INT3, over as many instructions as five bytes take.</summary>
/// <remarks>
///   optimiser                             any other CPU
///                                         i1 | preempted in front of i2
///   handler's target = the detour         int3 -> i1', i2', i3', behind i3
///   synchronize_rcu_tasks                 goes on with i2, i3; schedules
///   [0] = int3; sync
///   [1..4] = displacement; sync           whoever stood in front of i2 would execute it
///   [0] = jmp; sync
/// No jump may lead into the middle of the five bytes; the kernel decodes the whole function to know, the lab takes its caller's word.
/// </remarks>
public sealed partial class Kprobes
{
    /// <summary>kprobe_optimizer(): makes a jump of an armed probe.</summary>
    /// <param name="cpu">The CPU that this runs on.</param>
    /// <param name="probe">Armed.</param>
    [KernelName("arch_optimize_kprobes", File = "arch/x86/kernel/kprobes/opt.c", Version = "v6.1")]
    public IEnumerable<KernelStep> Optimise(Cpu cpu, Kprobe probe)
    {
        yield return _mutex.Acquire();
        yield return probe.State.Store(KprobeState.Optimising);
        var detour = _slots.Detour(probe.Address, [.. probe.OriginalCode]);
        probe.Detour = detour;
        yield return new ProbeKernelWrite(_kernel, detour.Start, detour.Code, TextMapping.IdentityAlias);

        // setup_detour_execution(): from here on INT3 leads behind all that the jump will stand on, not to its second instruction.
        yield return probe.Memory.Store(new(detour.Copies));
        if (_options.WaitsForTasks) yield return KernelStep.Call(_rcu.SynchronizeTasks(cpu));

        yield return _kernel.TextMutex.Acquire();
        var jump = new byte[JumpBytes];
        jump[0] = 0xe9;
        BinaryPrimitives.WriteInt32LittleEndian(jump.AsSpan(1), checked((int)(detour.Start - (probe.Address + JumpBytes))));
        yield return KernelStep.Call(WriteAndSync(probe.Address, [Int3]));
        yield return KernelStep.Call(WriteAndSync(probe.Address + 1, jump[1..]));
        yield return KernelStep.Call(WriteAndSync(probe.Address, jump[..1]));
        yield return probe.State.Store(KprobeState.Optimised);
        yield return _kernel.TextMutex.Release();
        yield return _mutex.Release();
    }

    /// <summary>Puts a jump on the list of those to be removed, and, later, as the kernel's delayed work does it, removes it: INT3 stays.</summary>
    /// <param name="probe">Optimised.</param>
    /// <param name="delayCycles">How long it waits on the list, with no lock held.</param>
    [KernelName("arch_unoptimize_kprobe", File = "arch/x86/kernel/kprobes/opt.c", Version = "v6.1")]
    public IEnumerable<KernelStep> Unoptimise(Kprobe probe, long delayCycles = 1)
    {
        yield return _mutex.Acquire();

        // kprobe_optimized(): where another probe has had the jump removed already, there is nothing left to remove.
        var isOptimised = probe.State.Value == KprobeState.Optimised;
        if (isOptimised) yield return probe.State.Store(KprobeState.Unoptimising);
        yield return _mutex.Release();
        if (!isOptimised) yield break;
        yield return new Delay(delayCycles, "until kprobe_optimizer runs");
        yield return _mutex.Acquire();
        yield return _kernel.TextMutex.Acquire();

        // Somebody may have needed the place, or removed the probe, meanwhile.
        if (probe.State.Value == KprobeState.Unoptimising) yield return KernelStep.Call(RemoveJump(probe));
        yield return _kernel.TextMutex.Release();
        yield return _mutex.Release();
    }

    /// <summary>INT3, then what the jump's displacement stood on; each with its sync. Both locks are held.</summary>
    private IEnumerable<KernelStep> RemoveJump(Kprobe probe)
    {
        yield return KernelStep.Call(WriteAndSync(probe.Address, [Int3]));
        yield return KernelStep.Call(WriteAndSync(probe.Address + 1, [.. probe.OriginalCode.Skip(1).Take(JumpBytes - 1)]));
        yield return probe.Memory.Store(new(probe.Slot));
        yield return probe.State.Store(KprobeState.Armed);
    }

    private IEnumerable<KernelStep> WriteAndSync(GuestAddress address, byte[] code)
    {
        yield return KernelStep.Call(Write(address, code));
        yield return new RunSync(_kernel);
    }
}
