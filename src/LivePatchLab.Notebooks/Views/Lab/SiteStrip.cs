using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks;

/// <summary>A site's bytes along time: one box a version.</summary>
internal static class SiteStrip
{
    private const double MonospaceWidth = 6.8;

    /// <param name="svg">What is drawn on.</param>
    /// <param name="bytes">The site.</param>
    /// <param name="atX">Where a clock lies.</param>
    /// <param name="window">From when to when it is drawn.</param>
    /// <param name="y">The upper edge.</param>
    /// <param name="height">In pixels.</param>
    public static void Draw(SvgCanvas svg, SiteBytes bytes, Func<long, double> atX, (long StartCycles, long EndCycles) window, double y, double height)
    {
        for (var i = 0; i < bytes.Versions.Count; i++)
        {
            var version = bytes.Versions[i];
            var end = i + 1 < bytes.Versions.Count ? bytes.Versions[i + 1].StartCycles : window.EndCycles;
            if (end <= window.StartCycles || version.StartCycles >= window.EndCycles) continue;
            var from = atX(version.StartCycles);
            var width = Math.Max(1, atX(end) - from);
            var state = State(bytes, version);
            // The letters' colours have a contrast of more than 4.5 to those below them; the first box has the page's own.
            var (box, letters) = state switch
            {
                "old" => ("fill-opacity=\"0.12\" stroke=\"currentColor\" stroke-opacity=\"0.4\"", ""),
                "new" => ("fill=\"#0072B2\"", " fill=\"#ffffff\""),
                "int3" => ("fill=\"#E69F00\"", " fill=\"#000000\""),
                _ => ("fill=\"#CC79A7\"", " fill=\"#000000\""),
            };
            svg.Rectangle(from, y, width, height, box);
            var text = version.Bytes.Length * MonospaceWidth < width - 4 ? version.Bytes : version.Bytes.Split(' ')[0] + " …" is var first && first.Length * MonospaceWidth < width - 4 ? first : "";
            if (text.Length > 0) svg.Text(from + (width / 2), y + (height / 2) + 4, text, $"text-anchor=\"middle\" font-family=\"ui-monospace, monospace\" font-size=\"11\"{letters}");
        }
    }

    /// <summary>A word for a version: old, int3, new, or torn.</summary>
    public static string State(SiteBytes bytes, SiteBytesVersion version)
    {
        var hex = version.Bytes.Replace(" ", "", StringComparison.Ordinal);
        if (hex == Convert.ToHexStringLower(bytes.Site.OldCode)) return "old";
        if (bytes.Site.NewCode is { } code && hex == Convert.ToHexStringLower(code)) return "new";
        return hex.StartsWith("cc", StringComparison.Ordinal) ? "int3" : "torn";
    }
}
