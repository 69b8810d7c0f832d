using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A cell that is being written, and a cursor in it. It need not compile. It is bound as the next submission of its session, so it sees all that the cells
/// before it have left; nothing of it is run.
/// </summary>
internal sealed class CSharpDraft
{
    public CSharpDraft(Compilation compilation, string code, int cursor)
    {
        Code = code;
        Cursor = cursor;
        Root = (CompilationUnitSyntax)compilation.SyntaxTrees.Single().GetRoot();
        Model = compilation.GetSemanticModel(Root.SyntaxTree);
        WordStart = cursor;
        while (WordStart > 0 && SyntaxFacts.IsIdentifierPartCharacter(code[WordStart - 1]))
            WordStart--;
        Left = TokenBefore(WordStart);
    }

    public string Code { get; }

    public int Cursor { get; }

    public CompilationUnitSyntax Root { get; }

    public SemanticModel Model { get; }

    /// <summary>Where the name that is being written starts; the cursor, when none is.</summary>
    public int WordStart { get; }

    /// <summary>What has been written of that name.</summary>
    public string Word => Code[WordStart..Cursor];

    /// <summary>The token before that name; of kind None at the start.</summary>
    public SyntaxToken Left { get; }

    /// <summary>Whether the cursor is in a text, a number or a remark, where no names are.</summary>
    public bool IsInLiteral
    {
        get
        {
            if (Cursor == 0)
                return false;
            if (Word.Length > 0 && !SyntaxFacts.IsIdentifierStartCharacter(Word[0]))
                return true;
            var trivia = Root.FindTrivia(Cursor - 1);
            if (trivia.RawKind != 0 && trivia.SpanStart < Cursor && !trivia.IsKind(SyntaxKind.WhitespaceTrivia) && !trivia.IsKind(SyntaxKind.EndOfLineTrivia)
                && !trivia.IsKind(SyntaxKind.SkippedTokensTrivia))
            {
                return Cursor < trivia.Span.End || trivia.IsKind(SyntaxKind.SingleLineCommentTrivia) || trivia.ContainsDiagnostics;
            }
            var token = Root.FindToken(Cursor - 1);
            return token.Kind() switch
            {
                SyntaxKind.InterpolatedStringTextToken => token.SpanStart < Cursor,
                SyntaxKind.StringLiteralToken or SyntaxKind.CharacterLiteralToken or SyntaxKind.Utf8StringLiteralToken
                    or SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken
                    => token.SpanStart < Cursor && (Cursor < token.Span.End || token.ContainsDiagnostics),
                SyntaxKind.InterpolatedStringStartToken or SyntaxKind.InterpolatedVerbatimStringStartToken => token.Span.End <= Cursor,
                _ => false,
            };
        }
    }

    /// <summary>The last token that ends at or before a place.</summary>
    public SyntaxToken TokenBefore(int position)
    {
        if (position == 0)
            return default;
        var token = Root.FindToken(position - 1);
        // A missing token is where the parser wanted one; nobody wrote it.
        while (token.RawKind != 0 && (token.SpanStart >= position || token.IsMissing))
            token = token.GetPreviousToken();
        return token;
    }

    /// <summary>The methods that a list of arguments is, or may be, for.</summary>
    public IReadOnlyList<IMethodSymbol> Callees(BaseArgumentListSyntax arguments)
    {
        if (arguments.Parent is not { } call)
            return [];
        var info = Model.GetSymbolInfo(call);
        IEnumerable<ISymbol> group = call switch
        {
            InvocationExpressionSyntax invocation => Model.GetMemberGroup(invocation.Expression),
            BaseObjectCreationExpressionSyntax creation when Model.GetTypeInfo(creation).Type is INamedTypeSymbol type => type.InstanceConstructors.Where(each => Model.IsAccessible(Cursor, each)),
            _ => [],
        };
        // The one that the compiler takes stands first.
        return [.. new[] { info.Symbol }.Concat(group).Concat(info.CandidateSymbols).OfType<IMethodSymbol>().Distinct<IMethodSymbol>(SymbolEqualityComparer.Default)];
    }
}
