using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B12, the INT3 that was gone: before June 2025 came to B11, one theory was that SERIALIZE leaves stale lines in the instruction cache. On a machine that
/// is like that every protocol of the kernel fails, and is mended by maintaining each line that was written, as on Arm. x86 is not like that.
/// </summary>
/// <param name="protocol">What is written through <see cref="TextPoke"/>.</param>
internal sealed class WithCacheMaintenance(IPatchProtocol protocol) : IPatchProtocol
{
    public string Name => $"{protocol.Name} with maintenance of the instruction cache";

    public string Summary => $"{protocol.Summary}; each write is followed by the maintenance of its lines";

    public bool MaySkip => protocol.MaySkip;

    public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model with { IcacheCoherent = true });

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(protocol.Attach(kernel));

    private sealed class Patcher(IPatcher inner) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites) => Maintain(inner.Apply(kernel, sites));

        private static IEnumerable<KernelStep> Maintain(IEnumerable<KernelStep> steps)
        {
            foreach (var step in steps)
            {
                yield return step is Subroutine call ? KernelStep.Call(Maintain(call.Steps)) : step;
                if (step is TextPoke poke) yield return new InvalidateInstructionCache(poke.Address, poke.Opcode.Length, costCycles: 0);
            }
        }
    }
}
