using System.Text;
using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks;

/// <summary>A trace as the kernel's own comments draw races: a column a CPU, time downwards, and the site's bytes beside it.</summary>
internal static class PatchTraceView
{
    public static HtmlFragment Of(PatchTrace trace)
    {
        var view = new ViewBuilder().Headline(trace.Run.Engine, PatchRunView.Headline(trace.Run));
        view.Part(Html(trace), $"\n{Text(trace)}\n");
        if (PatchRunView.Problem(trace.Run) is { } problem)
            view.Alarm(problem);
        return view.Footnote($"site {trace.Site}; {PatchRunView.Footnote(trace.Run)}").Build();
    }

    private static string Html(PatchTrace trace)
    {
        const string Code = "font-family:ui-monospace,monospace;white-space:pre;font-size:0.8em;text-align:left;vertical-align:top;padding:0.15rem 0.4rem";
        var html = new StringBuilder("<table><thead><tr><th style=\"text-align:right\">cycle</th>");
        foreach (var column in Columns(trace))
            html.Append("<th style=\"text-align:left\">").Append(HtmlText.Escape(column)).Append("</th>");
        html.Append("<th style=\"text-align:left\">in memory</th></tr></thead><tbody>");
        var before = "";
        foreach (var row in trace.Rows)
        {
            html.Append("<tr><td style=\"text-align:right;padding:0.15rem 0.4rem\">").Append(ViewBuilder.Count(row.ClockCycles)).Append("</td>");
            foreach (var cell in row.Cells)
            {
                html.Append("<td style=\"").Append(Code).Append(cell is null ? "" : Style(cell)).Append("\">");
                html.Append(cell is null ? "" : HtmlText.Escape(Say(cell))).Append("</td>");
            }
            html.Append("<td style=\"").Append(Code).Append(row.SiteBytes == before ? ";opacity:0.5" : ";font-weight:bold").Append("\">").Append(row.SiteBytes).Append("</td></tr>");
            before = row.SiteBytes;
        }
        html.Append("</tbody></table>");
        if (trace.RowsLeftOut > 0)
            html.Append("<p>… and ").Append(trace.RowsLeftOut).Append(" more</p>");
        return html.ToString();
    }

    private static string Text(PatchTrace trace) => new DataTable(
        ["cycle", .. Columns(trace), "in memory"],
        [.. trace.Rows.Select(row => (string[])[ViewBuilder.Count(row.ClockCycles), .. row.Cells.Select(cell => cell is null ? "" : Say(cell)), row.SiteBytes])])
    {
        Numeric = [true],
        Remainder = trace.RowsLeftOut > 0 ? $"… and {trace.RowsLeftOut} more" : "",
    }.ToString();

    private static IEnumerable<string> Columns(PatchTrace trace)
        => Enumerable.Range(0, trace.Run.Cpus).Select(cpu => cpu == 0 ? "CPU 0, the patcher" : $"CPU {cpu}");

    // A word as well as a style: colours alone say nothing in print or to a screen reader.
    private static string Say(TraceCell cell) => cell switch
    {
        { Kind: TraceCellKind.SiteInstruction, IsTorn: true } => $"site, torn: {cell.Text}",
        { Kind: TraceCellKind.SiteInstruction, IsStale: true } => $"site, stale: {cell.Text}",
        { Kind: TraceCellKind.SiteInstruction } => $"site: {cell.Text}",
        _ => cell.Text,
    };

    private static string Style(TraceCell cell) => cell.Kind switch
    {
        TraceCellKind.Instruction => ";opacity:0.55",
        TraceCellKind.SiteInstruction => cell.IsTorn || cell.IsStale ? ";font-weight:bold;background:rgba(213,94,0,0.22)" : ";font-weight:bold;background:rgba(0,114,178,0.16)",
        TraceCellKind.Trap => ";font-weight:bold;background:rgba(204,121,167,0.28)",
        TraceCellKind.Ipi => ";background:rgba(230,159,0,0.2)",
        _ => "",
    };
}
