using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>What is known of a name in a cell.</summary>
/// <param name="Kind">"method", "class", "variable".</param>
/// <param name="Signatures">As C# declares it; a line for each overload, the one that is meant first.</param>
/// <param name="Origin">Where it is declared: a cell and its line, or a namespace and an assembly.</param>
public sealed record SymbolExplanation(string Kind, IReadOnlyList<string> Signatures, string Origin)
{
    public string Summary { get; init; } = "";

    /// <summary>Name and meaning of what it is called with, its result and its exceptions among them.</summary>
    public IReadOnlyList<(string Name, string Text)> Details { get; init; } = [];

    /// <summary>The members of a type, where they were asked for.</summary>
    public IReadOnlyList<string> Members { get; init; } = [];

    public override string ToString()
    {
        var text = new StringBuilder().AppendJoin('\n', Signatures).Append('\n');
        if (Summary.Length > 0)
            text.Append("\n  ").Append(Summary).Append('\n');
        foreach (var (name, meaning) in Details)
            text.Append("\n  ").Append(name).Append(": ").Append(meaning);
        text.Append(Details.Count > 0 ? "\n" : "").Append("\n(").Append(Kind).Append(", ").Append(Origin).Append(")\n");
        if (Members.Count > 0)
            text.Append("\n  ").AppendJoin("\n  ", Members).Append('\n');
        return text.ToString();
    }

    public string ToHtml()
    {
        var html = new StringBuilder("<pre><code>").AppendJoin('\n', Signatures.Select(HtmlText.Escape)).Append("</code></pre>");
        if (Summary.Length > 0)
            html.Append("<p>").Append(HtmlText.Escape(Summary)).Append("</p>");
        if (Details.Count > 0)
            html.Append("<dl>").AppendJoin("", Details.Select(each => $"<dt><code>{HtmlText.Escape(each.Name)}</code></dt><dd>{HtmlText.Escape(each.Text)}</dd>")).Append("</dl>");
        html.Append("<p><small>").Append(HtmlText.Escape($"{Kind}, {Origin}")).Append("</small></p>");
        if (Members.Count > 0)
            html.Append("<ul>").AppendJoin("", Members.Select(member => $"<li><code>{HtmlText.Escape(member)}</code></li>")).Append("</ul>");
        return html.ToString();
    }
}
