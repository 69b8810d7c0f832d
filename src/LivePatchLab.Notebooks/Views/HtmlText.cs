using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Text on its way into HTML or SVG. Whatever comes from users, guests or files goes through here.</summary>
public static class HtmlText
{
    /// <summary>Of what opens a part that is closed. The classic notebook's style sheet (Bootstrap 3) takes the triangle away, and nobody would see that it opens.</summary>
    internal const string SummaryStyle = "display:list-item;cursor:pointer";

    public static string Escape(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return "";
        var escaped = new StringBuilder(text.Length + 16);
        foreach (var c in text)
        {
            _ = c switch
            {
                '&' => escaped.Append("&amp;"),
                '<' => escaped.Append("&lt;"),
                '>' => escaped.Append("&gt;"),
                '"' => escaped.Append("&quot;"),
                '\'' => escaped.Append("&#39;"),
                '\t' or '\n' or '\r' => escaped.Append(c),
                // Control characters and lone halves of surrogates are not allowed in XML, not even escaped.
                _ when c < ' ' || c is '\uFFFE' or '\uFFFF' => escaped.Append('\uFFFD'),
                _ => escaped.Append(c),
            };
        }
        return escaped.ToString();
    }
}
