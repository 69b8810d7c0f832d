using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// text_poke_sync_deferrable(): a CPU in user mode gets a bit instead of an IPI, and synchronises its core when it next enters the kernel
/// (RFC of Valentin Schneider, "context_tracking,x86: Defer kernel text patching IPIs", 2022 to 2025; never merged).
/// </summary>
/// <remarks>
///   patcher                             CPU in user mode
///   text[..] = new
///   work |= sync; no IPI
///   goes on                             enters the kernel: instructions that nobody may ever patch
///                                       ct_kernel_enter: user = false, takes its work; sync_core
///                                       from here on: code that may be patched
/// All rests on the entry code before the flush: a static key, a probe, a traced function there is executed as it was fetched long ago.
/// </remarks>
[KernelName("text_poke_sync_deferrable", File = "arch/x86/kernel/alternative.c", Version = "RFC v2, July 2023")]
public sealed class DeferredSync
{
    /// <summary>What a CPU's context-tracking word says.</summary>
    /// <param name="InUser">It is in user mode, and has been since before anybody could look.</param>
    /// <param name="MustSync">CONTEXT_WORK_SYNC: it synchronises its core before it executes code that can be patched.</param>
    public readonly record struct ContextState(bool InUser, bool MustSync)
    {
        public override string ToString() => $"{(InUser ? "user" : "kernel")}{(MustSync ? ", sync" : "")}";
    }

    private readonly LinuxKernel _kernel;
    private readonly KernelVariable<ContextState>[] _states;

    private DeferredSync(LinuxKernel kernel)
    {
        _kernel = kernel;
        _states = [.. kernel.Machine.Cpus.Select(cpu => new KernelVariable<ContextState>($"context_tracking.state[{cpu.Id.Index}]", default))];
        var gate = GuestGate.In(kernel);
        gate.Offer(GuestGate.UserEnter, "ct_user_enter", UserEnter);
        gate.Offer(GuestGate.KernelEnter, "ct_kernel_enter", KernelEnter);
    }

    /// <summary>How often a CPU was given a bit instead of an IPI.</summary>
    public long Deferrals { get; private set; }

    public static DeferredSync In(LinuxKernel kernel) => kernel.Globals(k => new DeferredSync(k));

    /// <summary>What a CPU's word holds, for tests and views.</summary>
    public ContextState StateOf(CpuId cpu) => _states[cpu.Index].Value;

    /// <summary>on_each_cpu_cond(): those in the kernel by IPI, those in user mode by their bit, then this CPU.</summary>
    public IEnumerable<KernelStep> Run(Cpu initiator)
    {
        var byIpi = new bool[_states.Length];
        foreach (var cpu in _kernel.Machine.Cpus)
        {
            if (cpu == initiator) continue;
            yield return _states[cpu.Id.Index].Update("|= sync where it is in user mode", state =>
            {
                byIpi[cpu.Id.Index] = !state.InUser;
                if (state.InUser) Deferrals++;
                return state.InUser ? state with { MustSync = true } : state;
            });
        }

        yield return new CallFunction(DoSyncCore.Function, wait: true, only: cpu => byIpi[cpu.Id.Index]);
        yield return SyncCore.Here;
        _kernel.SyncRounds++;
    }

    private IEnumerable<KernelStep> UserEnter(Cpu cpu) => [_states[cpu.Id.Index].Store(new(InUser: true, MustSync: false))];

    private IEnumerable<KernelStep> KernelEnter(Cpu cpu)
    {
        var mustSync = false;
        yield return _states[cpu.Id.Index].Update("= kernel, taking its work", state =>
        {
            mustSync = state.MustSync;
            return default;
        });
        if (mustSync) yield return SyncCore.Here;
    }
}
