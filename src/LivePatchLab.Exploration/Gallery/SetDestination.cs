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
    public static IPatchProtocol Protocol { get; } = new IteratorProtocol("set_destination", Store) { MaySkip = false, Promises = Invariants.NothingTorn };

    /// <summary>A call at an offset in its line: at 3 its displacement lies in one quadword, at 6 in two, at 62 in two lines.</summary>
    public static Scenario At(int siteOffset) => new PatchScenario(Protocol, new() { SiteOffset = siteOffset });

    private static IEnumerable<KernelStep> Store(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        foreach (var site in sites) yield return kernel.ProbeKernelWrite(site.Address + 1, site.NewCode.AsMemory(1), TextMapping.IdentityAlias);
    }
}
