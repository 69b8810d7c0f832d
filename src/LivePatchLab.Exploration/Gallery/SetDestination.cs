using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B31: HotSpot's NativeCall::set_destination() stores a call's displacement in one store, with no guard and no sync. That is whole for other CPUs' fetch only where no boundary is
/// crossed: of eight bytes on AMD's processors, of a line on Intel's. Mended by the alignment of the call.
/// </summary>
internal static class SetDestination
{
    private const int LineBytes = 64;

    public static IPatchProtocol Protocol { get; } = new IteratorProtocol("set_destination", Store) { MaySkip = false, Promises = Invariants.NothingTorn };

    /// <summary>A call at an offset in its line.</summary>
    public static Scenario At(int siteOffset) => new PatchedCall(Protocol, Invariants.NothingTorn, siteOffset);

    private static IEnumerable<KernelStep> Store(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        foreach (var site in sites)
        {
            // A store that crosses lines is two for everybody else, on every processor.
            var (at, displacement) = (site.Address + 1, site.NewCode.AsMemory(1));
            var front = (int)Math.Min(displacement.Length, at.AlignDown(LineBytes) + LineBytes - at);
            yield return kernel.ProbeKernelWrite(at, displacement[..front], TextMapping.IdentityAlias);
            if (front < displacement.Length) yield return kernel.ProbeKernelWrite(at + front, displacement[front..], TextMapping.IdentityAlias);
        }
    }
}
