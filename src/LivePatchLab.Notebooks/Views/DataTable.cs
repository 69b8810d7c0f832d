using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>A table of texts: as HTML, and aligned for a terminal.</summary>
[TypeFormatterSource(typeof(ViewFormatterSource), PreferredMimeTypes = [MimeBundle.Html, MimeBundle.Plain])]
public sealed record DataTable(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    public string? Caption { get; init; }

    /// <summary>What follows the rows that are shown: "… and 980 more"; empty when that is all.</summary>
    public string Remainder { get; init; } = "";

    /// <summary>Which columns hold numbers and are set flush right; empty: none.</summary>
    public IReadOnlyList<bool> Numeric { get; init; } = [];

    public MimeBundle Bundle() => new MimeBundle(MimeBundle.Html, ToHtml()).Set(MimeBundle.Plain, ToString());

    public string ToHtml()
    {
        var html = new StringBuilder("<table>");
        if (Caption is not null)
            html.Append("<caption>").Append(HtmlText.Escape(Caption)).Append("</caption>");
        html.Append("<thead><tr>");
        for (var i = 0; i < Columns.Count; i++)
            html.Append("<th scope=\"col\"").Append(Alignment(i)).Append('>').Append(HtmlText.Escape(Columns[i])).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var row in Rows)
        {
            html.Append("<tr>");
            for (var i = 0; i < row.Count; i++)
                html.Append("<td").Append(IsNumeric(i) ? " style=\"text-align:right;white-space:nowrap\"" : " style=\"text-align:left\"").Append('>').Append(HtmlText.Escape(row[i])).Append("</td>");
            html.Append("</tr>");
        }
        html.Append("</tbody></table>");
        if (Remainder.Length > 0)
            html.Append("<p>").Append(HtmlText.Escape(Remainder)).Append("</p>");
        return html.ToString();
    }

    public override string ToString()
    {
        var widths = Columns.Select((name, i) => Rows.Select(row => i < row.Count ? row[i].Length : 0).Append(name.Length).Max()).ToArray();
        var lines = new List<string>();
        if (Caption is not null)
            lines.Add(Caption);
        lines.Add(Line(Columns, widths));
        lines.Add(string.Join("  ", widths.Select(width => new string('-', width))));
        lines.AddRange(Rows.Select(row => Line(row, widths)));
        if (Remainder.Length > 0)
            lines.Add(Remainder);
        return string.Join('\n', lines);
    }

    private string Line(IReadOnlyList<string> texts, int[] widths)
        => string.Join("  ", texts.Select((text, i) => IsNumeric(i) ? text.PadLeft(widths[i]) : text.PadRight(widths[i]))).TrimEnd();

    private string Alignment(int column) => IsNumeric(column) ? " style=\"text-align:right\"" : " style=\"text-align:left\"";

    private bool IsNumeric(int column) => column < Numeric.Count && Numeric[column];
}
