using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Text on its way into HTML or SVG. Whatever comes from users, guests or files goes through here.</summary>
public static class HtmlText
{
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
