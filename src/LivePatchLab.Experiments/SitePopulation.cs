using LivePatchLab.Linux;

namespace LivePatchLab.Experiments;

/// <summary>As many sites as an experiment wants, out of the table of a real kernel.</summary>
public static class SitePopulation
{
    /// <summary>The most sites for which there is room above the kernel's text.</summary>
    public const int SitesMax = 1_000_000;

    /// <summary>
    /// A table with just so many enabled sites. Fewer than the kernel has: its first ones. More: its own gaps once again behind
    /// its end, as often as needed; so the geometry of lines and pages stays that of the kernel.
    /// </summary>
    /// <exception cref="BadInputException">Too few or too many sites are wanted.</exception>
    public static SiteTable Take(SiteTable table, int sites)
    {
        if (sites is < 1 or > SitesMax)
            throw new BadInputException($"{sites} sites: an experiment takes 1 to {SitesMax} sites, or 'all'");
        var enabled = table.Sites.Where(s => s.IsEnabled).Select(s => s.Address).ToList();
        if (enabled.Count == 0) throw new BadInputException($"{table.KernelName}: the table has no site that tracing enables, so there is nothing to patch; give another");
        if (sites == enabled.Count) return table;
        if (sites < enabled.Count) return new(table.KernelName, table.TextBase, [.. enabled.Take(sites).Select(a => new FtraceSite(a, true))]);

        var span = (table.Sites[^1].Address - table.TextBase).RoundUp(4096) + 4096;
        var taken = new List<FtraceSite>(sites);
        for (var round = 0L; taken.Count < sites; round++)
        {
            // Beyond the end of the address space the copies would begin anew at its start.
            if (table.TextBase + ((round + 1) * span) < table.TextBase)
                throw new BadInputException($"{sites} sites: the table spans {span} bytes, and there is no room for so many copies of it above {table.TextBase}; take fewer");
            taken.AddRange(enabled.Take(sites - taken.Count).Select(a => new FtraceSite(a + (round * span), true)));
        }
        return new($"{table.KernelName}, repeated", table.TextBase, taken);
    }

    private static long RoundUp(this long value, long multiple) => (value + multiple - 1) / multiple * multiple;
}
