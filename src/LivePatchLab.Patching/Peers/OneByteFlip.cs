using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// A switch of one byte, as dynamic_flag and an_hook have it: A9, test eax with an immediate number, and E9, jmp with a displacement, are of one
/// length and share their tail. So a site is on or off by one store, and that is whole under every fetch model.
/// </summary>
/// <remarks>
///   patcher           any other CPU
///   [0] = new         executes old or new: there is nothing between
/// TEST changes the flags, so a site must stand where nobody needs them. Nobody is made to see the change: after the return, who has not serialised may execute the old.
/// </remarks>
[KernelName("dynamic_flag", File = "the README of dynamic_flag")]
public sealed class OneByteFlip : IPatchProtocol
{
    public const string PhaseFlip = "one byte";
    public const byte TestEax = 0xa9, Jump = 0xe9;

    public string Name => "one_byte_flip";

    public string Summary => "dynamic_flag: test eax,imm32 becomes jmp rel32, or back, by one byte; no trap and no sync";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model)
        => Invariants.NothingTorn | Invariants.EffectIsOldOrNew | Invariants.WaitsWithInterruptsOn | (model.RemoteSnoop == RemoteSnoop.FlushAll ? Invariants.NewAfterReturn : Invariants.None);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher();

    private sealed class Patcher : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            yield return new PhaseMark(PhaseFlip);
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    var error = Errno.Einval;
                    if (IsFlip(site.OldCode, site.NewCode))
                    {
                        // What is there is compared as it is written: another's int3 is not lost.
                        var flip = new CompareExchangeText(kernel.Kernel, site.Address, seen => seen == site.OldCode[0], site.NewCode[0]);
                        yield return flip;
                        error = flip.Error;
                    }

                    if (error != 0)
                    {
                        kernel.Failure = new(error, PhaseFlip, done, site.Address, Recovered: true);
                        yield break;
                    }
                }

                site.IsFinished = true;
                done++;
            }
        }

        private static bool IsFlip(byte[] oldCode, byte[] newCode)
            => oldCode.Length == 5 && oldCode.AsSpan(1).SequenceEqual(newCode.AsSpan(1)) && (oldCode[0], newCode[0]) is (TestEax, Jump) or (Jump, TestEax);
    }
}
