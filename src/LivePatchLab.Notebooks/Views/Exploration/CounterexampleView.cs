using System.Text;
using LivePatchLab.Exploration;
using LivePatchLab.Machine;
using LivePatchLab.Patching;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A counterexample: what was violated, the columns of what the CPUs did, the same as lanes, the sites' bytes over time, and how to have it again.</summary>
internal static class CounterexampleView
{
    /// <summary>Of a longer run only its end is shown: the violation is there.</summary>
    private const int RowsMax = 150;

    /// <summary>A longer trace is not put into the page.</summary>
    private const int LinkBytesMax = 256 << 10;

    private const int FileNameMax = 60;

    /// <summary>More CPUs than that share one column.</summary>
    private const int ColumnsMax = 4;

    public static HtmlFragment Of(Counterexample example)
    {
        var view = new ViewBuilder().Headline(example.Scenario, $", under {example.Model}: found after {Plural(example.Executions, "execution")}, {Plural(example.Decisions.Count, "decision")}");
        var picture = AddTo(view, example);
        return view.Build() with { Picture = picture };
    }

    /// <summary>Adds all of it but the headline.</summary>
    /// <returns>What an image is drawn from.</returns>
    public static Picture AddTo(ViewBuilder view, Counterexample whole)
    {
        var example = EndOf(whole);
        var table = new InterleavingTable(example);
        var drawing = new LanesDrawing(table);
        var left = whole.Entries.Count - example.Entries.Count;
        var caption = string.Join(' ', new[]
        {
            "From left to right in the order of the run; clocks of different CPUs do not tell it.",
            left > 0 ? $"The first {Plural(left, "entry").Replace("entrys", "entries", StringComparison.Ordinal)} {(left == 1 ? "is" : "are")} not shown." : "",
            drawing.SitesLeftOut > 0 ? $"{Plural(drawing.SitesLeftOut, "site")} {(drawing.SitesLeftOut == 1 ? "has" : "have")} no strip." : "",
        }.Where(part => part.Length > 0));
        var alt = $"Lanes of {example.Scenario}: {Plural(table.Rows.Count, "entry").Replace("entrys", "entries", StringComparison.Ordinal)} on {Plural(table.Cpus.Count, "CPU")}, ending with {example.Violation}. {caption}";
        var svg = drawing.Draw(example.Scenario.Length <= 90 ? example.Scenario : example.Scenario[..89] + "…", alt);

        view.Alarm(example.Violation.ToString())
            .Part(Html(table), $"\n{table}\n{(left > 0 ? $"\n{caption}\n" : "")}")
            .Part(FigureHtml.Of(svg, caption, null), "");
        foreach (var report in SiteBytesReport.Of(example)) view.Part(Html(report), $"{report}\n");
        Replay(view, whole);
        Links(view, whole);
        view.Footnote($"fetch {whole.Model}; {(whole.Seed is { } seed ? $"seed {seed}; " : "")}state {whole.StateHash} at the violation");
        return new(svg, alt);
    }

    private static string Html(InterleavingTable table)
    {
        IReadOnlyList<CpuId?> columns = table.Cpus.Count > ColumnsMax ? [null] : [.. table.Cpus.Select(cpu => (CpuId?)cpu)];
        var html = new StringBuilder("<table><thead><tr><th style=\"text-align:right\">#</th>");
        foreach (var column in columns) html.Append("<th scope=\"col\" style=\"text-align:left\">").Append(column?.ToString() ?? "CPUs").Append("</th>");
        if (table.Sites.Count > 0) html.Append("<th scope=\"col\" style=\"text-align:left\">").Append(table.Sites.Count > 1 ? "sites" : "site").Append("</th>");
        html.Append("</tr></thead><tbody>");
        if (table.AtStart.Any()) Row("", null, "<td></td>", table.AtStart);
        foreach (var row in table.Rows)
        {
            var who = columns[0] is null ? $"{row.Entry.Cpu}: " : "";
            if (row.RoutineBegins is { } routine) Row("", row.Entry.Cpu, $"<td style=\"{Cell};opacity:0.75\"><em>{HtmlText.Escape(who + routine)}</em></td>", []);
            Row(Count(row.Entry.Ordinal), row.Entry.Cpu, $"<td style=\"{Cell};padding-left:1.6rem{StyleOf(row)}\">{HtmlText.Escape(who + row.Text)}</td>", row.Written);
        }

        html.Append("</tbody></table>");
        if (table.Sites.Count > 1) html.Append("<p>").Append(string.Join(", ", table.Sites.Select(site => $"{table.NameOf(site)} = <code>{site}</code>"))).Append("</p>");
        return html.ToString();

        void Row(string number, CpuId? cpu, string cell, IEnumerable<SiteVersion> written)
        {
            html.Append("<tr><td style=\"text-align:right;vertical-align:top\">").Append(number).Append("</td>");
            foreach (var column in columns) html.Append(column is null || column == cpu ? cell : "<td></td>");
            if (table.Sites.Count > 0)
            {
                html.Append("<td style=\"").Append(CodeStyle.Cell).Append(";vertical-align:top\">")
                    .Append(string.Join("<br/>", written.Select(version => version.Bytes is [BreakpointState.Int3, ..] ? $"<strong>{table.Show(version)}</strong>" : table.Show(version)))).Append("</td>");
            }

            html.Append("</tr>");
        }
    }

    private const string Cell = CodeStyle.Cell + ";white-space:pre-wrap;overflow-wrap:anywhere;vertical-align:top";

    private static string StyleOf(InterleavingRow row) => row.Entry switch
    {
        { Kind: TraceKind.Violation } => ";font-weight:bold;background:rgba(204,34,34,0.25)",
        { IsTorn: true } or { IsStale: true } => ";font-weight:bold;background:rgba(230,159,0,0.4)",
        { Kind: TraceKind.Trap } => ";background:rgba(204,121,167,0.28)",
        { Kind: TraceKind.Interrupt or TraceKind.NonMaskableInterrupt } => ";background:rgba(0,114,178,0.16)",
        _ => "",
    };

    private static string Html(SiteBytesReport report) => new DataTable(["bytes", "instruction", "written by", "given to"],
        [.. report.Versions.Select(version => (string[])[InstructionText.Hex([.. version.Version.Bytes]), version.Instruction, version.WrittenBy, version.GivenTo])])
    { Caption = $"The bytes at {report.Site} over time" }.ToHtml();

    private static void Replay(ViewBuilder view, Counterexample example)
    {
        var call = $"Explore(…).Under(…).Replay(\"{example.Decisions}\")";
        view.Part($"<p>To run it again, with what was given to Explore and Under:</p><pre style=\"white-space:pre-wrap;overflow-wrap:anywhere\">{HtmlText.Escape(call)}</pre>",
            $"To run it again, with what was given to Explore and Under:\n{call}");
    }

    private static void Links(ViewBuilder view, Counterexample example)
    {
        var name = new string([.. example.Scenario.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '-')]).Trim('-');
        name = name.Length == 0 ? "counterexample" : name[..Math.Min(name.Length, FileNameMax)].Trim('-');
        var links = new[]
        {
            (Name: name + PerfettoTrace.FileExtension, Type: "application/octet-stream", What: "Trace for ui.perfetto.dev", Bytes: BytesOf(stream => PerfettoTrace.Write(example, stream))),
            (Name: name + ChromeTrace.FileExtension, Type: "application/json", What: "Trace in Chrome's format", Bytes: BytesOf(stream => ChromeTrace.Write(example, stream))),
        };
        var methods = "SavePerfetto(path) and SaveChromeTrace(path) of the counterexample write it for trace viewers.";
        var html = new StringBuilder("<p>");
        foreach (var link in links.Where(link => link.Bytes.Length <= LinkBytesMax))
        {
            html.Append("<a download=\"").Append(link.Name).Append("\" href=\"data:").Append(link.Type).Append(";base64,").Append(Convert.ToBase64String(link.Bytes)).Append("\">")
                .Append(HtmlText.Escape(link.What)).Append("</a>. ");
        }

        view.Part(html.Append(methods).Append("</p>").ToString(), methods);
    }

    private static byte[] BytesOf(Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        return stream.ToArray();
    }

    /// <summary>The last entries, with the sites' bytes as they are when these begin.</summary>
    private static Counterexample EndOf(Counterexample example)
    {
        if (example.Entries.Count <= RowsMax) return example;
        var entries = example.Entries.TakeLast(RowsMax).ToArray();
        var before = example.SiteHistory.Where(version => version.Ordinal < entries[0].Ordinal).GroupBy(version => version.Site).Select(group => group.Last() with { Ordinal = -1 });
        return example with { Entries = entries, SiteHistory = [.. before, .. example.SiteHistory.Where(version => version.Ordinal >= entries[0].Ordinal)] };
    }
}
