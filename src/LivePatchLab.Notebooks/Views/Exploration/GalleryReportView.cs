using System.Text;
using LivePatchLab.Exploration;
using LivePatchLab.Patching;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>The gallery as a table: how a bug was found, what became of it with its fix; below each row, folded, the run that shows it.</summary>
internal static class GalleryReportView
{
    private static readonly string[] Columns = ["bug", "title", "what it takes", "executions to find", "broken", "with the fix"];

    public static HtmlFragment Of(GalleryReport gallery)
    {
        var rows = gallery.Bugs.Select(Cells).ToArray();
        var text = new DataTable(Columns, rows) { Numeric = [false, false, false, true] };
        return new(Html(gallery, rows), text.ToString());
    }

    private static string[] Cells(BugReport report) => report switch
    {
        { Broken: { } broken, Mended: { } mended } => [report.Bug.Id, report.Bug.Title, report.Bug.Ingredients, Count(broken.Executions), Violated(broken), Mended(mended)],
        _ => [report.Bug.Id, report.Bug.Title, report.Bug.Ingredients, "", "not expressed", report.Bug.Missing ?? ""],
    };

    private static string Violated(ExplorationResult result)
        => result.Counterexample is not { } found ? result.Verdict.ToString() : found.Violation.Invariant == Invariants.None ? "outcome" : found.Violation.Invariant.Show();

    private static string Mended(ExplorationResult result)
        => result.Verdict == Verdict.Pass ? $"{result.Verdict}: {(result.IsExhaustive ? "all " : "")}{Count(result.Executions)}" : ExplorationSummary.Of(result);

    private static string Html(GalleryReport gallery, IReadOnlyList<string[]> rows)
    {
        var html = new StringBuilder("<div><table><thead><tr>");
        for (var i = 0; i < Columns.Length; i++) html.Append("<th scope=\"col\" style=\"").Append(Alignment(i)).Append("\">").Append(Columns[i]).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var (report, cells) in gallery.Bugs.Zip(rows))
        {
            html.Append("<tr>");
            for (var i = 0; i < cells.Length; i++) html.Append("<td style=\"").Append(Alignment(i)).Append(";vertical-align:top\">").Append(HtmlText.Escape(cells[i])).Append("</td>");
            html.Append("</tr><tr><td></td><td colspan=\"").Append(Columns.Length - 1).Append("\" style=\"text-align:left\"><details><summary>")
                .Append(HtmlText.Escape(report.Bug.Reference)).Append("</summary><p><strong>Fix:</strong> ").Append(HtmlText.Escape(report.Bug.Fix)).Append("</p>");
            if (report.Broken?.Counterexample is { } found)
            {
                html.Append("<p>").Append(HtmlText.Escape($"{found.Scenario}, under {found.Model}: {found.Violation}")).Append("</p><pre style=\"overflow-x:auto;font-size:0.75em;line-height:1.25\">")
                    .Append(HtmlText.Escape(new InterleavingTable(found).ToString())).Append("</pre><p>").Append(HtmlText.Escape($"To run it again: Replay(\"{found.Decisions}\")")).Append("</p>");
            }

            html.Append("</details></td></tr>");
        }

        return html.Append("</tbody></table></div>").ToString();
    }

    // Words get the room; else the one long sentence of a bug that cannot be expressed would take it from all the others.
    private static string Alignment(int column) => column switch
    {
        1 or 2 => "text-align:left;width:30%",
        3 => "text-align:right",
        _ => "text-align:left",
    };
}
