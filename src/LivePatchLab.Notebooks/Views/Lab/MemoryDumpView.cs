using System.Globalization;
using System.Text;
using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks;

/// <summary>Memory as hexdump prints it: address, bytes, characters; what begins in a row is named beside it, and sites and INT3 are shaded as well.</summary>
internal static class MemoryDumpView
{
    public static HtmlFragment Of(MemoryDump dump)
        => new ViewBuilder().Headline($"{ViewBuilder.Plural(dump.Length, "byte")} at {dump.Address}", "").Part(Html(dump), $"\n{Text(dump)}").Build();

    private static string Text(MemoryDump dump) => string.Join('\n', dump.Rows.Select(row => $"{row.Address}  {Hex(row)}  {Characters(row)}  {Marks(row)}".TrimEnd()));

    private static string Html(MemoryDump dump)
    {
        var html = new StringBuilder("<table><thead><tr>");
        foreach (var head in new[] { "address", "bytes", "characters", "begins here" }) html.Append("<th scope=\"col\" style=\"text-align:left\">").Append(head).Append("</th>");
        html.Append("</tr></thead><tbody>");
        foreach (var row in dump.Rows)
        {
            html.Append("<tr>").Append(Cell(HtmlText.Escape(row.Address.ToString()))).Append(Cell(Shaded(row))).Append(Cell(HtmlText.Escape(Characters(row)))).Append(Cell(HtmlText.Escape(Marks(row)))).Append("</tr>");
        }

        return html.Append("</tbody></table>").ToString();
    }

    private static string Cell(string markup) => $"<td style=\"{CodeStyle.Cell};font-size:0.78em;padding:0.1rem 0.3rem\">{markup}</td>";

    private static string Shaded(MemoryRow row)
    {
        var bytes = Enumerable.Range(0, row.Bytes.Count).Select(i =>
        {
            var style = row.Marks.Any(mark => mark.Text == "int3" && mark.Offset == i) ? CodeStyle.Int3
                : row.Marks.Any(mark => mark.Text.StartsWith("site ", StringComparison.Ordinal) && i >= mark.Offset && i < mark.Offset + mark.Length) ? CodeStyle.Site
                : "";
            return style.Length > 0 ? $"<span style=\"{style.TrimStart(';')}\">{Hex(row.Bytes[i])}</span>" : Hex(row.Bytes[i]);
        }).ToArray();
        return string.Join(' ', bytes[..8]) + "  " + string.Join(' ', bytes[8..]);
    }

    private static string Hex(MemoryRow row) => string.Join(' ', row.Bytes.Take(8).Select(Hex)) + "  " + string.Join(' ', row.Bytes.Skip(8).Select(Hex));

    private static string Hex(byte? value) => value is { } b ? b.ToString("x2", CultureInfo.InvariantCulture) : "  ";

    private static string Characters(MemoryRow row) => string.Concat(row.Bytes.Select(value => value is not { } b ? ' ' : b is >= 0x20 and < 0x7f ? (char)b : '.'));

    private static string Marks(MemoryRow row) => string.Join(", ", row.Marks.Select(mark => mark.Offset == 0 ? mark.Text : string.Create(CultureInfo.InvariantCulture, $"{mark.Text} at +{mark.Offset}")));
}
