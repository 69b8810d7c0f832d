using System.ComponentModel;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A <c>using var</c> at the top of a cell. C# scripts have none, for a variable of theirs lives on in later submissions; a reader of a notebook means what it means in a method: that it
/// is disposed of where the cell ends. So it becomes a variable whose value is handed to <see cref="CellDisposal"/>. No character moves to another line.
/// </summary>
internal static class CellUsings
{
    public static string Rewrite(string code)
    {
        if (!code.Contains("using", StringComparison.Ordinal))
            return code;
        var tokens = SyntaxFactory.ParseTokens(code).ToArray();
        StringBuilder? rewritten = null;
        var (copied, depth) = (0, 0);
        for (var i = 0; i < tokens.Length; i++)
        {
            depth += tokens[i].Kind() is SyntaxKind.OpenBraceToken or SyntaxKind.OpenParenToken or SyntaxKind.OpenBracketToken ? 1
                : tokens[i].Kind() is SyntaxKind.CloseBraceToken or SyntaxKind.CloseParenToken or SyntaxKind.CloseBracketToken ? -1 : 0;
            if (depth != 0 || !tokens[i].IsKind(SyntaxKind.UsingKeyword) || Declaration(tokens, i) is not { } declaration)
                continue;
            var (assign, end) = declaration;
            var isAwaited = i > 0 && tokens[i - 1].ValueText == "await";
            var start = isAwaited ? tokens[i - 1].SpanStart : tokens[i].SpanStart;
            rewritten ??= new();
            rewritten.Append(code, copied, start - copied).Append(' ', tokens[i].Span.End - start);
            rewritten.Append(code, tokens[i].Span.End, tokens[assign].Span.End - tokens[i].Span.End);
            rewritten.Append(isAwaited ? $" await global::{typeof(CellDisposal).FullName}.{nameof(CellDisposal.AtEndAsync)}(" : $" global::{typeof(CellDisposal).FullName}.{nameof(CellDisposal.AtEnd)}(");
            rewritten.Append(code, tokens[assign].Span.End, tokens[end].SpanStart - tokens[assign].Span.End).Append(')');
            copied = tokens[end].SpanStart;
            i = end;
        }

        return rewritten?.Append(code, copied, code.Length - copied).ToString() ?? code;
    }

    /// <summary>
    /// The = and the ; of "using TYPE NAME = VALUE;". Null for a directive ("using A.B;", "using A = B;", "using static A;"), for a statement ("using (…)"), and where several variables
    /// are declared at once.
    /// </summary>
    private static (int Assign, int End)? Declaration(SyntaxToken[] tokens, int at)
    {
        var first = at + 1;
        if (first + 2 >= tokens.Length || tokens[first].Kind() is SyntaxKind.OpenParenToken or SyntaxKind.StaticKeyword or SyntaxKind.UnsafeKeyword)
            return null;
        var assign = Array.FindIndex(tokens, first, token => token.Kind() is SyntaxKind.EqualsToken or SyntaxKind.SemicolonToken or SyntaxKind.EndOfFileToken);
        if (assign < first + 2 || !tokens[assign].IsKind(SyntaxKind.EqualsToken) || !tokens[assign - 1].IsKind(SyntaxKind.IdentifierToken))
            return null;
        var depth = 0;
        for (var i = assign + 1; i < tokens.Length; i++)
        {
            depth += tokens[i].Kind() is SyntaxKind.OpenBraceToken or SyntaxKind.OpenParenToken or SyntaxKind.OpenBracketToken ? 1
                : tokens[i].Kind() is SyntaxKind.CloseBraceToken or SyntaxKind.CloseParenToken or SyntaxKind.CloseBracketToken ? -1 : 0;
            if (depth == 0 && tokens[i].IsKind(SyntaxKind.CommaToken))
                return null;
            if (depth == 0 && tokens[i].IsKind(SyntaxKind.SemicolonToken))
                return (assign, i);
        }

        return null;
    }
}

/// <summary>What the cell that runs disposes of at its end, the last first.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class CellDisposal
{
    public static T AtEnd<T>(T value) where T : IDisposable?
    {
        if (value is not null)
            CellScope.Current?.DisposeAtEnd(() =>
            {
                value.Dispose();
                return ValueTask.CompletedTask;
            });
        return value;
    }

    public static Task<T> AtEndAsync<T>(T value) where T : IAsyncDisposable?
    {
        if (value is not null)
            CellScope.Current?.DisposeAtEnd(value.DisposeAsync);
        return Task.FromResult(value);
    }
}
