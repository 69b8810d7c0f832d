using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// LLVM's XRay: each instrumented function begins with a sled of eleven bytes, a short jump over nine bytes of nop. What is to be executed is written
/// behind the jump, where nobody comes by; then the two bytes of the jump become the first two of it, as one.
/// </summary>
/// <remarks>
///   on, patcher                          thread of a program
///   [2..5]  = function's number          jmp over all that: to [11]
///   [6]     = e8 (call)
///   [7..10] = displacement
///   [0..1]  = 41 ba, one store           mov r10d, number; call trampoline
///   off
///   [0..1]  = eb 09, one store           jmp to [11]; whoever has done the mov does the call too
/// Off leaves the nine bytes as they are, and must: a thread may stand between the mov and the call. The sled is aligned to 2 bytes, so that the store
/// does not cross anything. Nothing makes another CPU see any of this. The eleven bytes never lie in one aligned word of eight, so where words are all
/// that is fetched whole, a new front may meet an old rest. mprotect() before and after lets the text be written; whom it interrupts, and whether at
/// all, is the system's affair.
/// </remarks>
[KernelName("patchFunctionEntry", File = "compiler-rt/lib/xray/xray_x86_64.cpp of LLVM")]
public sealed class XraySled : IPatchProtocol
{
    public const string PhaseBody = "behind the jump";
    public const string PhaseFront = "first two bytes";

    /// <summary>What the compiler lays down and what patching makes of it have this length.</summary>
    public const int SledBytes = 11;

    private const int FrontBytes = 2, CallOffset = 6, DisplacementOffset = 7;

    /// <summary>jmp over the rest of the sled.</summary>
    private static readonly byte[] JumpOver = [0xeb, 0x09];

    /// <summary>mov r10d, and the number behind it.</summary>
    private static readonly byte[] MoveNumber = [0x41, 0xba];

    public string Name => "xray_sled";

    public string Summary => "LLVM's XRay: the body behind a jump over it, then the jump's two bytes at once; no trap and no sync";

    public bool MaySkip => false;

    /// <remarks>
    /// It takes a processor that sees stores in their order and the front as one: because it drops what it has not decoded, or fetches straight code as it
    /// was at one time. Where a word may be stale on its own, nothing is kept. I6 is never: whoever stands between the mov and the call when the sled is
    /// turned off still calls the trampoline after the return.
    /// </remarks>
    public Invariants PromisesUnder(FetchModel model)
    {
        var isInOrder = model.CaptureUnit == CaptureUnit.Block || model.RemoteSnoop == RemoteSnoop.FlushAll
            || (model.RemoteSnoop == RemoteSnoop.InvalidateFetchable && model.AtomicChunkBytes >= FrontBytes);
        return Invariants.WaitsWithInterruptsOn
            | (model.IcacheCoherent && isInOrder ? Invariants.NothingTorn | Invariants.EffectIsOldOrNew : Invariants.None);
    }

    public IPatcher Attach(LinuxKernel kernel) => new Patcher();

    /// <summary>A sled that nobody has patched yet: what the compiler emits.</summary>
    public static byte[] Empty() => [.. JumpOver, 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x02, 0x00, 0x00];

    /// <summary>A sled that is on.</summary>
    /// <param name="sled">Its first byte.</param>
    /// <param name="function">The function's number.</param>
    /// <param name="trampoline">What it calls.</param>
    public static byte[] On(GuestAddress sled, int function, GuestAddress trampoline)
        => [.. MoveNumber, .. BitConverter.GetBytes(function), TextPokeLoc.Call, .. BitConverter.GetBytes(checked((int)(trampoline - (sled + SledBytes))))];

    /// <summary>A sled that was on, and is off.</summary>
    public static byte[] Off(byte[] on) => [.. JumpOver, .. on.AsSpan(FrontBytes)];

    private sealed class Patcher : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    var isOn = IsOn(site.NewCode);
                    if (site.Address.AlignDown(FrontBytes) != site.Address || !(isOn ? IsOff(site.OldCode) : IsTurnedOff(site.OldCode, site.NewCode)))
                    {
                        kernel.Failure = new(Errno.Einval, PhaseBody, done, site.Address, Recovered: true);
                        yield break;
                    }

                    if (isOn) yield return KernelStep.Call(WriteBody(kernel, site, site.NewCode, done));
                    if (kernel.Failure is null) yield return KernelStep.Call(Write(kernel, site, site.NewCode, 0, FrontBytes, isFirst: !isOn, done));
                    if (kernel.Failure is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }

        private static bool IsOn(byte[] code) => code.Length == SledBytes && code.AsSpan().StartsWith(MoveNumber) && code[CallOffset] == TextPokeLoc.Call;

        private static bool IsOff(byte[] code) => code.Length == SledBytes && code.AsSpan().StartsWith(JumpOver);

        private static bool IsTurnedOff(byte[] oldCode, byte[] newCode) => IsOn(oldCode) && newCode.AsSpan().SequenceEqual(Off(oldCode));

        private static IEnumerable<KernelStep> WriteBody(PatchContext kernel, PatchSite site, byte[] code, int done)
        {
            (int Start, int End)[] parts = [(FrontBytes, CallOffset), (CallOffset, DisplacementOffset), (DisplacementOffset, SledBytes)];
            foreach (var (start, end) in parts)
            {
                yield return KernelStep.Call(Write(kernel, site, code, start, end, isFirst: start == FrontBytes, done));
                if (kernel.Failure is not null) yield break;
            }
        }

        private static IEnumerable<KernelStep> Write(PatchContext kernel, PatchSite site, byte[] code, int start, int end, bool isFirst, int done)
        {
            var phase = start == 0 ? PhaseFront : PhaseBody;
            yield return new PhaseMark(phase);
            var write = kernel.ProbeKernelWrite(site.Address + start, code.AsMemory(start, end - start), TextMapping.IdentityAlias);
            yield return write;
            if (write.Error != 0) kernel.Failure = new(write.Error, phase, done, site.Address, Recovered: isFirst);
        }
    }
}
