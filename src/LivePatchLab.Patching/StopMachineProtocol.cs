using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P0, nobody runs: text_poke_smp_batch() of Linux 2.6.38 to 3.11 (arch/x86/kernel/alternative.c). stop_machine() brings every
/// CPU to a halt with interrupts off; one writes all the new instructions whole, then each synchronises its core and goes on.
/// </summary>
/// <remarks>
///   patcher                  every other CPU
///   stop_machine             stopped, interrupts off
///   each: [0..] = new        spins until the text is written
///   wrote_text = true
///   sync_core                sync_core
/// Nobody can meet half-written code, so there is no trap and no handler; but NMIs come in all the same.
/// </remarks>
[KernelName("text_poke_smp_batch", File = "arch/x86/kernel/alternative.c", Version = "v3.10")]
public sealed class StopMachineProtocol : IPatchProtocol
{
    public const string PhaseStopped = "machine stopped";

    public string Name => "stop_machine";

    public string Summary => "P0, Linux 2.6.38 to 3.11: all CPUs stopped with interrupts off while one writes everything";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model)
        => (Promises.SyncReaches(model) ? Invariants.NothingTorn | Invariants.NewAfterReturn | Invariants.EffectIsOldOrNew : Invariants.None) | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher();

    private sealed class Patcher : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            kernel.TextMutex.AssertHeld();
            var wroteText = new KernelVariable<bool>("wrote_text", false);
            yield return new PhaseMark(PhaseStopped);
            var stop = new StopMachine(kernel.Kernel, isInitiator => StopMachineTextPoke(kernel, sites, wroteText, isInitiator));
            yield return KernelStep.Call(stop.Run());
        }

        private static IEnumerable<KernelStep> StopMachineTextPoke(PatchContext kernel, IReadOnlyList<PatchSite> sites, KernelVariable<bool> wroteText, bool isInitiator)
        {
            if (isInitiator)
            {
                foreach (var site in sites)
                {
                    yield return kernel.NextRecord();
                    if (site.NewCode is not null)
                    {
                        var poke = kernel.TextPoke(site.Address, site.NewCode);
                        yield return poke;
                        if (poke.Error != 0)
                        {
                            yield return kernel.Kernel.RaiseBug($"text_poke: {site.Address} cannot be written");
                            yield break;
                        }
                    }

                    site.IsFinished = true;
                }

                yield return Fence.Write;
                yield return wroteText.Store(true);
            }
            else
            {
                yield return wroteText.SpinUntil("is true", written => written);
                yield return Fence.Full;
            }

            yield return SyncCore.Here;
        }
    }
}
