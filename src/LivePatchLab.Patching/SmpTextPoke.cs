using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P13, the kernel of today: smp_text_poke_batch_add() and smp_text_poke_batch_finish() of Linux 6.16 (arch/x86/kernel/alternative.c; Molnar's series
/// of April 2025, with the fix 2aebf5ee43bf). One global array of 256 locations serves every client.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   text_poke_array = { vec, nr }
///   each CPU: its refs = 1 (release); wmb
///   each: [0] = int3;                sync      from here on: traps, and the handler does what the new instruction will do
///   each: [1..] = new;               sync
///   each: [0] = new, unless int3;    sync      nobody can trap here any more
///   each CPU: its refs--, wait until 0         which is so at once, unless an int3 was written on purpose
///   nr = 0
/// </remarks>
[KernelName("smp_text_poke_batch_finish", File = "arch/x86/kernel/alternative.c", Version = "v6.16")]
public sealed class SmpTextPoke : IPatchProtocol
{
    public string Name => "smp_text_poke";

    public string Summary => "P13, Linux 6.16: one global array of 256 for all clients, and a count of references for each CPU";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => TextPokeBpRefcount.PromisesOfRefcounts(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(TextPokeArray.In(kernel));

    private sealed class Patcher(TextPokeArray array) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            kernel.TextMutex.AssertHeld();
            yield return new PhaseMark(TextPokePhase.Queueing);
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is null) site.IsFinished = true;
                else yield return KernelStep.Call(array.BatchAdd(kernel, site));
            }

            yield return KernelStep.Call(array.BatchFinish(kernel));
        }
    }
}
