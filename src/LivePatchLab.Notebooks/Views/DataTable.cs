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

    /// <summary>How strongly each cell is shaded, 0 to 1, by row and column; empty: not at all. Readers without colours have the numbers.</summary>
    public IReadOnlyList<IReadOnlyList<double>> Shades { get; init; } = [];

    /// <summary>A click on a column's head sorts by it, where scripts run; elsewhere it is a plain table.</summary>
    public bool IsSortable { get; init; }

    public MimeBundle Bundle() => new MimeBundle(MimeBundle.Html, ToHtml()).Set(MimeBundle.Plain, ToString());

    public string ToHtml()
    {
        var html = new StringBuilder(IsSortable ? $"<table class=\"{SortScript.TableClass}\">" : "<table>");
        if (Caption is not null)
            html.Append("<caption>").Append(HtmlText.Escape(Caption)).Append("</caption>");
        html.Append("<thead><tr>");
        for (var i = 0; i < Columns.Count; i++)
            html.Append("<th scope=\"col\"").Append(Alignment(i)).Append('>').Append(HtmlText.Escape(Columns[i])).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var (index, row) in Rows.Index())
        {
            html.Append("<tr>");
            for (var i = 0; i < row.Count; i++)
                html.Append("<td style=\"").Append(IsNumeric(i) ? "text-align:right;white-space:nowrap" : "text-align:left").Append(Shade(index, i)).Append("\">").Append(HtmlText.Escape(row[i])).Append("</td>");
            html.Append("</tr>");
        }
        html.Append("</tbody></table>");
        if (IsSortable)
            html.Append(SortScript.Html);
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

    // The page's own text stays readable upon it, since it covers less than half of the page's colour.
    private string Shade(int row, int column) => row < Shades.Count && column < Shades[row].Count && Shades[row][column] > 0
        ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $";background:rgba(0,114,178,{Math.Min(1, Shades[row][column]) * 0.4:0.##})")
        : "";

    private string Alignment(int column) => IsNumeric(column) ? " style=\"text-align:right\"" : " style=\"text-align:left\"";

    private bool IsNumeric(int column) => column < Numeric.Count && Numeric[column];
}
