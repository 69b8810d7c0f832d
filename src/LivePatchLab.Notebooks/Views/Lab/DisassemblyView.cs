using System.Globalization;
using System.Text;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>A listing of code: address, bytes, instruction; sites are marked in words and by a bar, int3 that stands and versions that linger by a shade as well.</summary>
internal static class DisassemblyView
{
    public static HtmlFragment Of(CodeListing listing)
    {
        var sites = listing.Lines.Count(line => line.Site is not null);
        return new ViewBuilder().Headline(listing.Source, $": {ViewBuilder.Plural(listing.Lines.Count, "instruction")}{(sites > 0 || !listing.Lines.Any(IsNext) ? ", " + ViewBuilder.Plural(sites, "traced site") : "")}")
            .Part(Html(listing), $"\n{Text(listing)}").Build();
    }

    private static string Html(CodeListing listing)
    {
        var html = new StringBuilder("<table><thead><tr>");
        foreach (var head in new[] { "address", "bytes", "instruction", "" }) html.Append("<th scope=\"col\" style=\"text-align:left\">").Append(head).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var line in listing.Lines)
        {
            if (line.Label is { } label) html.Append("<tr><td colspan=\"4\" style=\"").Append(CodeStyle.Cell).Append(";font-weight:bold\">").Append(HtmlText.Escape(label)).Append(":</td></tr>");
            Row(line.Address.ToString(), PatchHex(line.Bytes), line.Text, Mark(line), Style(line));
            foreach (var stale in line.Stale) Row("", PatchHex(stale.Bytes), stale.Text, Mark(stale), ";background:rgba(204,121,167,0.25)");
        }

        return html.Append("</tbody></table>").ToString();

        void Row(string address, string bytes, string text, string mark, string style)
        {
            html.Append("<tr>");
            foreach (var cell in new[] { address, bytes, text, mark }) html.Append("<td style=\"").Append(CodeStyle.Cell).Append(style).Append("\">").Append(HtmlText.Escape(cell)).Append("</td>");
            html.Append("</tr>");
        }
    }

    private static string Text(CodeListing listing)
    {
        var bytes = listing.Lines.SelectMany(line => line.Stale.Select(stale => stale.Bytes).Append(line.Bytes)).Select(each => (each.Length * 3) - 1).DefaultIfEmpty(0).Max();
        var words = listing.Lines.SelectMany(line => line.Stale.Select(stale => stale.Text).Append(line.Text)).Select(each => each.Length).DefaultIfEmpty(0).Max();
        var lines = new List<string>();
        foreach (var line in listing.Lines)
        {
            if (line.Label is { } label) lines.Add($"{label}:");
            lines.Add($"{line.Address}  {PatchHex(line.Bytes).PadRight(bytes)}  {line.Text.PadRight(words)}  {Mark(line)}".TrimEnd());
            lines.AddRange(line.Stale.Select(stale => $"{new string(' ', 16)}  {PatchHex(stale.Bytes).PadRight(bytes)}  {stale.Text.PadRight(words)}  {Mark(stale)}"));
        }

        return string.Join('\n', lines);
    }

    private static bool IsNext(CodeLine line) => line.Next.Count > 0;

    private static string Mark(CodeLine line)
    {
        var site = line.Site is { } number ? string.Create(CultureInfo.InvariantCulture, $"<- site {number}, {StateName(line.State)}") : "";
        return IsNext(line) ? $"<== {Names(line.Next)} next{(site.Length > 0 ? "  " + site : "")}" : site;
    }

    private static string Mark(StaleVersion stale) => $"<- what {Names(stale.Cpus)} may still see";

    private static string Names(IReadOnlyList<CpuId> cpus) => cpus.Count <= 6 ? string.Join(", ", cpus) : $"{string.Join(", ", cpus.Take(5))} and {cpus.Count - 5} more CPUs";

    private static string StateName(SiteState state) => state switch
    {
        SiteState.Nop => "nop, ftrace",
        SiteState.Call => "call, ftrace",
        SiteState.Int3 => "int3 stands here",
        _ => "neither nop nor call",
    };

    private static string Style(CodeLine line) => line switch
    {
        { Next.Count: > 0 } => CodeStyle.Current,
        { Site: null } => "",
        { State: SiteState.Int3 } => CodeStyle.Int3,
        _ => CodeStyle.Site,
    };

    private static string PatchHex(byte[] bytes) => InstructionText.Hex(bytes);
}
