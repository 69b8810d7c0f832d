using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The symbols of a kernel image that may lie elsewhere than where it was linked. Its sites are no news here: a call patches nothing.</summary>
/// <param name="image">The image.</param>
/// <param name="memory">Where it is: symbols of the per-CPU segment have low addresses at which there is nothing.</param>
/// <param name="slide">How far above its link address it lies.</param>
internal sealed class KernelCodeMap(KernelImage image, GuestMemory memory, long slide) : ICodeMap
{
    public string Source => image.Release;

    public string? LabelAt(GuestAddress address) => memory.IsMapped(address, 1) && image.Symbols.HasSymbolAt(address - slide) ? image.Symbols.NameOf(address - slide) : null;

    public string? NameOf(GuestAddress address) => memory.IsMapped(address, 1) && image.Symbols.TryFindCovering(address - slide, out _) ? image.Symbols.NameOf(address - slide) : null;

    public bool TryFind(string name, out GuestAddress address)
    {
        var found = image.Symbols.TryFind(name, out address);
        address += slide;
        return found;
    }

    public GuestAddress? NextAfter(GuestAddress address) => image.Symbols.NextAfter(address - slide) is { } next ? next + slide : null;

    public int? SiteAt(GuestAddress address) => null;
}
