using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P13 as it was in linux-next from April to June 2025 (commit c8976ade0c1b), a control: smp_text_poke_single() puts its site behind whatever another
/// client has left in the array, without a look at the order. Bug B11; mended by 2aebf5ee43bf.
/// </summary>
/// <remarks>
///   client 1 (jump labels)             client 2 (ftrace)                 any other CPU
///   lock; add 0x3000; unlock
///                                      lock; single 0x1000: [0x3000, 0x1000]
///                                      [0] = int3 at both; sync
///                                                                        traps at 0x3000, and the binary search misses it
/// </remarks>
[KernelName("smp_text_poke_single", File = "arch/x86/kernel/alternative.c", Version = "next-20250501, commit c8976ade0c1b")]
public sealed class SmpTextPokeUnsorted : IPatchProtocol
{
    public string Name => "smp_text_poke_unsorted";

    public string Summary => "P13 with the bug of June 2025: a single site is put behind what others have queued, in whatever order";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => TextPokeBpRefcount.PromisesOfRefcounts(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(TextPokeArray.In(kernel));

    private sealed class Patcher(TextPokeArray array) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            kernel.TextMutex.AssertHeld();
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is null) site.IsFinished = true;
                else yield return KernelStep.Call(array.SingleUnordered(kernel, site));
            }
        }
    }
}
