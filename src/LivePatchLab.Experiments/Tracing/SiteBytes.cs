using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>How often a CPU fetched the site's instruction, and as what.</summary>
/// <param name="Cpu">Which CPU.</param>
/// <param name="Bytes">The bytes that it was given, as hexadecimal pairs.</param>
/// <param name="Count">How often.</param>
public sealed record SiteFetch(CpuId Cpu, string Bytes, long Count);

/// <summary>What memory held at a site from one store to the next.</summary>
/// <param name="StartCycles">The clock of the store; for the first version, the start.</param>
/// <param name="Writer">Who stored it; null for what was there.</param>
/// <param name="Bytes">As hexadecimal pairs.</param>
/// <param name="Fetches">What the CPUs were given meanwhile.</param>
public sealed record SiteBytesVersion(long StartCycles, CpuId? Writer, string Bytes, IReadOnlyList<SiteFetch> Fetches);

/// <summary>A site's bytes over time: what was written when and by whom, and which CPU still saw what.</summary>
/// <param name="Site">The site.</param>
/// <param name="Costs">What the cycles stand for.</param>
/// <param name="Versions">In the order of the stores.</param>
/// <param name="FetchesOfCleanCode">Whether fetches that no store could make ambiguous were counted as well.</param>
public sealed record SiteBytes(PatchSite Site, CostModel Costs, IReadOnlyList<SiteBytesVersion> Versions, bool FetchesOfCleanCode)
{
    public override string ToString() => $"{Site.Address}: {string.Join(" -> ", Versions.Select(version => version.Bytes))}";
}

/// <summary>Puts versions together while a machine runs.</summary>
internal sealed class SiteBytesBuilder(PatchSite site, CostModel costs, bool fetchesOfCleanCode)
{
    private readonly List<(long StartCycles, CpuId? Writer, string Bytes)> _versions = [];
    private readonly List<Dictionary<(CpuId Cpu, string Bytes), long>> _fetches = [];

    public void Store(long clockCycles, CpuId? writer, string bytes)
    {
        if (_versions.Count > 0 && _versions[^1].Bytes == bytes) return;
        _versions.Add((clockCycles, writer, bytes));
        _fetches.Add([]);
    }

    public void Fetch(CpuId cpu, string bytes)
    {
        var fetches = _fetches[^1];
        fetches[(cpu, bytes)] = fetches.GetValueOrDefault((cpu, bytes)) + 1;
    }

    public SiteBytes Build() => new(site, costs,
    [
        .. _versions.Zip(_fetches, (version, fetches) => new SiteBytesVersion(version.StartCycles, version.Writer, version.Bytes,
            [.. fetches.OrderBy(each => each.Key.Cpu.Index).ThenByDescending(each => each.Value).Select(each => new SiteFetch(each.Key.Cpu, each.Key.Bytes, each.Value))])),
    ], fetchesOfCleanCode);
}
