using LivePatchLab.Experiments;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A site's bytes over time: when they changed, who wrote them, and what the CPUs were given meanwhile.</summary>
internal static class SiteBytesView
{
    private const double Left = 18;
    private const double Right = SvgCanvas.Width - 18;

    public static HtmlFragment Of(SiteBytes bytes)
    {
        var first = bytes.Versions[0].StartCycles;
        var last = bytes.Versions[^1].StartCycles;
        // The new version stands for ever; so much of it is drawn as makes it seen.
        var end = Math.Max(last + ((last - first) / 4), first + 1);
        var svg = new SvgCanvas();
        var title = $"The bytes at {bytes.Site.Address}";
        svg.Title(title);
        SiteStrip.Draw(svg, bytes, AtX, (first, end), 40, 30);
        var ticks = new AxisTicks(new("", "s"), [bytes.Costs.SecondsOf(first), bytes.Costs.SecondsOf(end)]);
        svg.Line(Left, 78, Right, 78, "stroke=\"currentColor\"");
        foreach (var tick in ticks.Values)
        {
            var share = (tick - bytes.Costs.SecondsOf(first)) / bytes.Costs.SecondsOf(end - first);
            if (share is < 0 or > 0.97) continue;
            svg.Line(Left + ((Right - Left) * share), 78, Left + ((Right - Left) * share), 83, "stroke=\"currentColor\"");
            svg.Text(Left + ((Right - Left) * share), 97, ticks.Label(tick), "text-anchor=\"middle\"");
        }

        svg.Text(SvgCanvas.Width / 2, 116, "simulated time", "text-anchor=\"middle\"");
        var caption = $"{Plural(bytes.Versions.Count, "version")}; {(bytes.FetchesOfCleanCode ? "all fetches of the site are counted" : "fetches are counted while some CPU might still see an older version")}.";
        var alt = $"{title}. {string.Join(", then ", bytes.Versions.Select(version => version.Bytes))}. {caption}";
        var drawing = svg.ToSvg(126, alt);
        var table = Table(bytes);
        return new ViewBuilder().Part(FigureHtml.Of(drawing, caption, null) + table.ToHtml(), $"{title}\n{caption}\n\n{table}").Build() with { Picture = new(drawing, alt) };

        double AtX(long cycles) => Left + ((Right - Left) * Math.Clamp((double)(cycles - first) / (end - first), 0, 1));
    }

    private static DataTable Table(SiteBytes bytes) => new(["time", "bytes", "state", "written by", "fetched meanwhile"],
    [
        .. bytes.Versions.Select(version => (string[])
        [
            Duration.Show(bytes.Costs.SecondsOf(version.StartCycles)), version.Bytes, SiteStrip.State(bytes, version), version.Writer?.ToString() ?? "there before",
            string.Join("; ", version.Fetches.Select(fetch => $"{fetch.Cpu}: {fetch.Bytes}{(fetch.Count > 1 ? $", {Count(fetch.Count)} times" : "")}{(IsOlder(version, fetch) ? " (an older version)" : "")}")),
        ]),
    ])
    { Numeric = [true] };

    // int3 is one byte of the five; what follows it was not fetched as part of the instruction.
    private static bool IsOlder(SiteBytesVersion version, SiteFetch fetch) => !version.Bytes.StartsWith(fetch.Bytes, StringComparison.Ordinal);
}
