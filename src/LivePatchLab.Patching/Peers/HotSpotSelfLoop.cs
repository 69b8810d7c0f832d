using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// HotSpot's NativeGeneralJump::replace_mt_safe() (src/hotspot/cpu/x86/nativeInst_x86.cpp of OpenJDK): a guard that needs neither trap nor handler. Who
/// comes by jumps to itself until the rest is written.
/// </summary>
/// <remarks>
///   patcher                             any other CPU
///   [0..3] = eb fe eb fe, one store     jmp to itself
///   [4]    = new                        jmp to itself
///   [0..3] = new, one store             leaves the loop when it sees this
/// The second eb fe is for who fetches on from the third byte. There is no sync: the versions of one word come in their order, and that must be enough,
/// so the instruction has to lie in one word that is fetched whole. Old code, or the loop, may be met after the return.
/// </remarks>
/// <param name="alignmentBytes">What the instruction's address must be a multiple of. 8, as check_verified_entry_alignment() demands, puts all five bytes into one word; 4 only the two stores.</param>
[KernelName("NativeGeneralJump::replace_mt_safe", File = "src/hotspot/cpu/x86/nativeInst_x86.cpp of OpenJDK")]
public sealed class HotSpotSelfLoop(int alignmentBytes = 8) : IPatchProtocol
{
    public const string PhaseLoop = "jumps to itself";
    public const string PhaseFifthByte = "fifth byte";
    public const string PhaseWord = "first four bytes";

    private const int CodeBytes = 5, StoreBytes = 4, WordBytes = 8, LineBytes = 64;

    public string Name => "hotspot_self_loop";

    public string Summary => "HotSpot: a jump to itself as the guard, the fifth byte, the first four; no trap and no sync";

    public bool MaySkip => false;

    /// <remarks>Nobody makes a CPU leave the loop: it comes out only where what is stale becomes fresh by itself, by time or by going on.</remarks>
    public Invariants PromisesUnder(FetchModel model)
    {
        var comesOut = model.IcacheCoherent && (model.QueueDepth is not null || model.StalenessBoundCycles is not null || model.CaptureUnit == CaptureUnit.Block || model.RemoteSnoop == RemoteSnoop.FlushAll);
        var kept = Invariants.NothingTorn | Invariants.WaitsWithInterruptsOn | (comesOut ? Invariants.EffectIsOldOrNew : Invariants.None);
        if (model.RemoteSnoop == RemoteSnoop.FlushAll) return kept | Invariants.NewAfterReturn;
        return model.AtomicChunkBytes >= (alignmentBytes >= WordBytes ? WordBytes : LineBytes) ? kept : Invariants.WaitsWithInterruptsOn;
    }

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(alignmentBytes);

    private sealed class Patcher(int alignmentBytes) : IPatcher
    {
        private static readonly byte[] SelfLoops = [0xeb, 0xfe, 0xeb, 0xfe];

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    yield return KernelStep.Call(ReplaceMtSafe(kernel, site, site.NewCode, done));
                    if (kernel.Failure is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }

        private IEnumerable<KernelStep> ReplaceMtSafe(PatchContext kernel, PatchSite site, byte[] code, int done)
        {
            if (site.Length != CodeBytes || site.Address.AlignDown(alignmentBytes) != site.Address || site.Address.Straddles(CodeBytes, LineBytes))
            {
                kernel.Failure = new(Errno.Einval, PhaseLoop, done, site.Address, Recovered: true);
                yield break;
            }

            site.Guard = SelfLoops.AsMemory(0, 2);
            yield return KernelStep.Call(Write(kernel, site, 0, SelfLoops, PhaseLoop, done));
            if (kernel.Failure is null) yield return KernelStep.Call(Write(kernel, site, StoreBytes, code.AsMemory(StoreBytes), PhaseFifthByte, done));
            if (kernel.Failure is null) yield return KernelStep.Call(Write(kernel, site, 0, code.AsMemory(0, StoreBytes), PhaseWord, done));
        }

        private static IEnumerable<KernelStep> Write(PatchContext kernel, PatchSite site, int offset, ReadOnlyMemory<byte> code, string phase, int done)
        {
            yield return new PhaseMark(phase);
            var write = kernel.ProbeKernelWrite(site.Address + offset, code, TextMapping.IdentityAlias);
            yield return write;
            if (write.Error != 0) kernel.Failure = new(write.Error, phase, done, site.Address, Recovered: phase == PhaseLoop);
        }
    }
}
