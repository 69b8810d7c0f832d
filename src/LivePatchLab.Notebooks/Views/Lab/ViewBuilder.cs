using System.Globalization;
using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Puts a view together, its HTML and its plain text at once, so that neither says what the other does not.</summary>
internal sealed class ViewBuilder
{
    // Borders and shades come from the page's own text colour: so they fit light pages, dark ones and paper.
    public const string SoftStyle = "opacity:0.75";

    private readonly StringBuilder _html = new();
    private readonly List<string> _text = [];

    public ViewBuilder Headline(string name, string rest)
    {
        _html.Append("<p><strong>").Append(HtmlText.Escape(name)).Append("</strong>").Append(HtmlText.Escape(rest)).Append("</p>");
        _text.Add(name + rest);
        return this;
    }

    public ViewBuilder Paragraph(string text)
    {
        _html.Append("<p>").Append(HtmlText.Escape(text)).Append("</p>");
        _text.Add(text);
        return this;
    }

    /// <summary>What must not be overlooked.</summary>
    public ViewBuilder Alarm(string text)
    {
        _html.Append("<p style=\"border-left:4px solid #c22;padding-left:0.7em\"><strong>").Append(HtmlText.Escape(text)).Append("</strong></p>");
        _text.Add(text);
        return this;
    }

    /// <summary>What one needs to repeat it, and seldom reads.</summary>
    public ViewBuilder Footnote(string text)
    {
        _html.Append("<p style=\"").Append(SoftStyle).Append(";font-size:0.9em\">").Append(HtmlText.Escape(text)).Append("</p>");
        _text.Add(text);
        return this;
    }

    public ViewBuilder Table(DataTable table)
    {
        _html.Append(table.ToHtml());
        if (_text.LastOrDefault() is { Length: > 0 })
            _text.Add("");
        _text.Add(table.ToString());
        _text.Add("");
        return this;
    }

    /// <summary>A part that has its own HTML.</summary>
    public ViewBuilder Part(string html, string text)
    {
        _html.Append(html);
        _text.Add(text);
        return this;
    }

    public HtmlFragment Build() => new($"<div>{_html}</div>", string.Join('\n', _text).Trim('\n'));

    public static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    public static string Plural(long count, string what) => $"{Count(count)} {what}{(count == 1 ? "" : "s")}";
}
