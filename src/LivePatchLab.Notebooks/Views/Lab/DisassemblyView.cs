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
        return new ViewBuilder().Headline(listing.KernelName, $": {ViewBuilder.Plural(listing.Lines.Count, "instruction")}, {ViewBuilder.Plural(sites, "traced site")}")
            .Part(Html(listing), $"\n{Text(listing)}").Build();
    }

    private static string Html(CodeListing listing)
    {
        const string Code = "font-family:ui-monospace,monospace;white-space:pre;font-size:0.85em;text-align:left;padding:0.1rem 0.6rem";
        var html = new StringBuilder("<table><thead><tr>");
        foreach (var head in new[] { "address", "bytes", "instruction", "" }) html.Append("<th scope=\"col\" style=\"text-align:left\">").Append(head).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var line in listing.Lines)
        {
            if (line.Label is { } label) html.Append("<tr><td colspan=\"4\" style=\"").Append(Code).Append(";font-weight:bold\">").Append(HtmlText.Escape(label)).Append(":</td></tr>");
            Row(line.Address.ToString(), PatchHex(line.Bytes), line.Text, Mark(line), Style(line));
            foreach (var stale in line.Stale) Row("", PatchHex(stale.Bytes), stale.Text, Mark(stale), ";background:rgba(204,121,167,0.25)");
        }

        return html.Append("</tbody></table>").ToString();

        void Row(string address, string bytes, string text, string mark, string style)
        {
            html.Append("<tr>");
            foreach (var cell in new[] { address, bytes, text, mark }) html.Append("<td style=\"").Append(Code).Append(style).Append("\">").Append(HtmlText.Escape(cell)).Append("</td>");
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

    private static string Mark(CodeLine line) => line.Site is not { } site ? "" : string.Create(CultureInfo.InvariantCulture, $"<- site {site}, {StateName(line.State)}");

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
        { Site: null } => "",
        { State: SiteState.Int3 } => ";font-weight:bold;background:rgba(230,159,0,0.3)",
        _ => ";background:rgba(0,114,178,0.16)",
    };

    private static string PatchHex(byte[] bytes) => string.Join(' ', bytes.Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));
}
