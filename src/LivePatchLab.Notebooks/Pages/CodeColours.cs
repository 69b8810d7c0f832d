using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace LivePatchLab.Notebooks;

/// <summary>Colours a cell's source by the compiler's own tokens; magic lines are coloured by their words.</summary>
internal static class CodeColours
{
    private static readonly CSharpParseOptions Script = new(kind: SourceCodeKind.Script);

    public static string ToHtml(string source)
    {
        var html = new StringBuilder();
        foreach (var part in Pieces(source))
        {
            if (MagicLine.IsMagic(part))
                Magic(html, part);
            else
                CSharp(html, part);
        }
        return html.ToString();
    }

    /// <summary>Magic lines alone, the lines between them together; all line ends kept.</summary>
    private static IEnumerable<string> Pieces(string source)
    {
        var code = new StringBuilder();
        foreach (var line in source.ReplaceLineEndings("\n").Split('\n').Index())
        {
            var text = line.Index == 0 ? line.Item : "\n" + line.Item;
            if (!MagicLine.IsMagic(line.Item))
            {
                code.Append(text);
                continue;
            }
            if (line.Index > 0)
                code.Append('\n');
            yield return code.ToString();
            code.Clear();
            yield return line.Item;
        }
        yield return code.ToString();
    }

    private static void Magic(StringBuilder html, string line)
    {
        var end = line.IndexOf(' ', StringComparison.Ordinal);
        end = end < 0 ? line.Length : end;
        Span(html, "m", line[..end]);
        foreach (var (i, word) in line[end..].Split(' ').Index())
        {
            if (i > 0)
                html.Append(' ');
            Span(html, word.StartsWith("--", StringComparison.Ordinal) ? "k" : null, word);
        }
    }

    private static void CSharp(StringBuilder html, string code)
    {
        foreach (var token in SyntaxFactory.ParseTokens(code, options: Script))
        {
            foreach (var trivia in token.LeadingTrivia)
                Trivia(html, trivia);
            Span(html, Class(token), token.Text);
            foreach (var trivia in token.TrailingTrivia)
                Trivia(html, trivia);
        }
    }

    private static void Trivia(StringBuilder html, SyntaxTrivia trivia)
        => Span(html, trivia.ToFullString().TrimStart().StartsWith('/') ? "c" : null, trivia.ToFullString());

    private static string? Class(SyntaxToken token)
    {
        var kind = token.Kind();
        if (SyntaxFacts.IsKeywordKind(kind) || token.Text is "var" or "await" or "yield" or "record")
            return "k";
        return kind switch
        {
            SyntaxKind.NumericLiteralToken => "n",
            SyntaxKind.CharacterLiteralToken => "s",
            _ when kind.ToString().Contains("String", StringComparison.Ordinal) => "s",
            _ => null,
        };
    }

    private static void Span(StringBuilder html, string? name, string text)
    {
        if (text.Length == 0)
            return;
        if (name is null)
            html.Append(HtmlText.Escape(text));
        else
            html.Append("<span class=\"").Append(name).Append("\">").Append(HtmlText.Escape(text)).Append("</span>");
    }
}
