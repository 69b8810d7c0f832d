using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>P14: a protocol whose syncs spare CPUs in user mode, which synchronise when they next enter the kernel (see <see cref="DeferredSync"/>).</summary>
/// <remarks>
///   patcher                            CPU in user mode
///   text[0] = int3; its bit is set     user mode
///   text[1..] = new; its bit is set
///   text[0] = new; its bit is set      enters the kernel
///                                      a site in front of the flush: any of the old, the int3, the new, byte by byte (B30)
///                                      ct_kernel_enter: sync_core
///                                      a site behind the flush: new
/// Holds only where no site lies in the code between the entry and the flush.
/// </remarks>
[KernelName("text_poke_sync_deferrable", File = "arch/x86/kernel/alternative.c", Version = "RFC v2, July 2023")]
public sealed class WithDeferredSync(IPatchProtocol protocol) : IPatchProtocol
{
    public string Name => $"{protocol.Name}_deferred";

    public string Summary => $"P14 (RFC 2022 to 2025): {protocol.Summary}; CPUs in user mode synchronise when they enter the kernel";

    public bool MaySkip => protocol.MaySkip;

    /// <remarks>A CPU in user mode may have old code before it after the return, though it never executes it before its flush: what is seen of code is what is promised.</remarks>
    public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model) & ~(Invariants.TailBehindInt3 | Invariants.FirstByteLast | Invariants.NewAfterReturn);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(protocol.Attach(kernel), DeferredSync.In(kernel));

    private sealed class Patcher(IPatcher whole, DeferredSync deferred) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites) => Replace(whole.Apply(kernel, sites), kernel.Cpu);

        private IEnumerable<KernelStep> Replace(IEnumerable<KernelStep> steps, Cpu cpu)
        {
            foreach (var step in steps)
            {
                if (step is Subroutine call) yield return KernelStep.Call(Replace(call.Steps, cpu));
                else yield return step is RunSync ? KernelStep.Call(deferred.Run(cpu)) : step;
            }
        }
    }
}
