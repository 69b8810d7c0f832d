using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>A CPU that was given bytes of a version.</summary>
/// <param name="Entry">The instruction that it fetched.</param>
/// <param name="First">The first of the site's bytes that it had from this version.</param>
/// <param name="Count">How many of them follow each other.</param>
/// <param name="IsWhole">True when the whole instruction was of this version; false for a torn one.</param>
/// <param name="IsStale">True when memory held a newer version by then.</param>
public sealed record VersionFetch(TraceEntry Entry, int First, int Count, bool IsWhole, bool IsStale)
{
    public override string ToString()
        => string.Create(CultureInfo.InvariantCulture, $"{Entry.Cpu} at {Entry.Ordinal}{(IsWhole ? "" : Count == 1 ? $", byte {First} only" : $", bytes {First} to {First + Count - 1} only")}{(IsStale ? " (stale)" : "")}");
}

/// <summary>One version of a site's bytes, and what became of it.</summary>
/// <param name="Version">From when on, and the bytes.</param>
/// <param name="Instruction">The instruction that they begin with, disassembled.</param>
/// <param name="Writer">The entry that wrote it; null for what was there at the start.</param>
/// <param name="Fetches">Who was given bytes of it.</param>
public sealed record SiteVersionReport(SiteVersion Version, string Instruction, TraceEntry? Writer, IReadOnlyList<VersionFetch> Fetches)
{
    /// <summary>"CPU0, text_poke_bp at 3", or "there at the start".</summary>
    public string WrittenBy => Writer is null
        ? "there at the start"
        : string.Create(CultureInfo.InvariantCulture, $"{Writer.Cpu}, {Writer.Routine ?? InterleavingTable.GuestCode} at {Writer.Ordinal}");

    /// <summary>Who was given it, in the order of the trace: "CPU1 at 7 (stale)". A stale fetch shows that the CPU could see the version until then.</summary>
    public string GivenTo => Fetches.Count == 0 ? "nobody" : string.Join("; ", Fetches);
}

/// <summary>
/// The bytes of one site over time: who wrote each version, what instruction it is, and which CPU was given it, also after it had been replaced.
/// A counterexample holds what CPUs were given, not what they might have been given besides; so a version that nobody fetched may have been visible all the same.
/// </summary>
public sealed class SiteBytesReport
{
    private SiteBytesReport(Counterexample example, GuestAddress site)
    {
        Site = site;
        var versions = example.SiteHistory.Where(version => version.Site == site).ToArray();
        var entries = example.Entries.Where(entry => entry.Kind != TraceKind.Violation).GroupBy(entry => entry.Ordinal).ToDictionary(group => group.Key, group => group.First());
        var fetches = versions.Select(_ => new List<VersionFetch>()).ToArray();
        foreach (var entry in example.Entries.Where(entry => entry.Fetched.Count > 0 && entry.Kind != TraceKind.Violation)) Assign(entry, versions, fetches);
        var text = new InstructionText(null);
        Versions = [.. versions.Select((version, i) => new SiteVersionReport(version, text.Of(site, [.. version.Bytes]).Text, entries.GetValueOrDefault(version.Ordinal), fetches[i]))];
    }

    /// <summary>The site's first byte.</summary>
    public GuestAddress Site { get; }

    /// <summary>In the order in which they were written.</summary>
    public IReadOnlyList<SiteVersionReport> Versions { get; }

    /// <summary>A report for each site, by address.</summary>
    public static IReadOnlyList<SiteBytesReport> Of(Counterexample example)
        => [.. example.SiteHistory.Select(version => version.Site).Distinct().Order().Select(site => new SiteBytesReport(example, site))];

    public override string ToString()
    {
        string[] heads = ["bytes", "instruction", "written by", "given to"];
        string[][] rows = [.. Versions.Select(version => (string[])
        [
            InstructionText.Hex([.. version.Version.Bytes]).Replace(' ', WrappedColumns.FirmSpace), version.Instruction, version.WrittenBy, version.GivenTo,
        ])];
        var widths = WrappedColumns.Share(InterleavingTable.WidthMax - (WrappedColumns.Gap * 3), [.. heads.Index().Select(head => rows.Select(row => row[head.Index].Length).Append(head.Item.Length).Max())]);
        var grid = new WrappedColumns(widths).Add(heads).Rule();
        foreach (var row in rows) grid.Add(row);
        return $"The bytes at {Site} over time\n{grid}";
    }

    /// <summary>
    /// Finds the versions that an instruction's bytes came from: one for all of them where there is one, the newest such; else, from its first byte on, always
    /// the one that has the most of them in a row. So a torn fetch falls into as few pieces as can be, as it does where chunks are fetched whole.
    /// </summary>
    private void Assign(TraceEntry entry, SiteVersion[] versions, List<VersionFetch>[] fetches)
    {
        var known = versions.Count(version => version.Ordinal < entry.Ordinal);
        var offset = entry.Rip - Site;
        if (known == 0 || offset >= versions[0].Bytes.Count || offset + entry.Fetched.Count <= 0) return;
        var from = (int)Math.Max(0, -offset);
        var bytes = entry.Fetched.Skip(from).Take((int)Math.Min(entry.Fetched.Count - from, versions[0].Bytes.Count - Math.Max(0, offset))).ToArray();
        var first = (int)Math.Max(0, offset);

        for (var version = known - 1; version >= 0 && !entry.IsTorn; version--)
        {
            if (!versions[version].Bytes.Skip(first).Take(bytes.Length).SequenceEqual(bytes)) continue;
            fetches[version].Add(new(entry, first, bytes.Length, true, entry.IsStale));
            return;
        }

        for (var i = 0; i < bytes.Length;)
        {
            var (version, end) = Longest(i);
            if (version >= 0) fetches[version].Add(new(entry, first + i, end - i, false, version < known - 1));
            i = end;
        }

        (int Version, int End) Longest(int index)
        {
            var (best, bestEnd) = (-1, index);
            for (var version = known - 1; version >= 0; version--)
            {
                var end = index;
                while (end < bytes.Length && versions[version].Bytes[first + end] == bytes[end]) end++;
                if (end > bestEnd) (best, bestEnd) = (version, end);
            }

            return (best, Math.Max(bestEnd, index + 1));
        }
    }
}
