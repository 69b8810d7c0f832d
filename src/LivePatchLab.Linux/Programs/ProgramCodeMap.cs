using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The symbols and traced sites of a program.</summary>
internal sealed class ProgramCodeMap(ProgramImage image) : ICodeMap
{
    private readonly Lazy<Dictionary<GuestAddress, int>> _sites = new(() => image.FtraceSites.Select((site, i) => (site.Address, i)).ToDictionary());

    public string Source => image.Source;

    public string? LabelAt(GuestAddress address) => image.Symbols.HasSymbolAt(address) ? image.Symbols.NameOf(address) : null;

    public string? NameOf(GuestAddress address) => image.Symbols.TryFindCovering(address, out _) ? image.Symbols.NameOf(address) : null;

    public bool TryFind(string name, out GuestAddress address) => image.Symbols.TryFind(name, out address);

    public GuestAddress? NextAfter(GuestAddress address) => image.Symbols.NextAfter(address);

    public int? SiteAt(GuestAddress address) => _sites.Value.TryGetValue(address, out var site) ? site : null;
}
