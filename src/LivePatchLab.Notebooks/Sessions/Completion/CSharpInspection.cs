using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LivePatchLab.Notebooks;

/// <summary>Finds and explains the name at the cursor or, where there is none, the method whose arguments are being written.</summary>
internal sealed class CSharpInspection(CSharpDraft draft)
{
    private const int OverloadsMax = 20;
    private const int MembersMax = 200;

    public SymbolExplanation? Explain(bool withMembers)
    {
        if (draft.Code.Length == 0)
            return null;
        var symbols = AtCursor();
        if (symbols.Count == 0)
            symbols = Called();
        if (symbols.Count == 0)
            return null;
        var symbol = symbols[0];
        // A name that stands for a constructor's type is the type to whoever asks, but the parameters are the constructor's.
        var documentation = XmlDocumentation.Of(symbol, draft.Model.Compilation)
            ?? (symbol is IMethodSymbol { MethodKind: MethodKind.Constructor } ? XmlDocumentation.Of(symbol.ContainingType, draft.Model.Compilation) : null);
        return new(KindOf(symbol), [.. symbols.Take(OverloadsMax).Select(Signature).Distinct()], OriginOf(symbol))
        {
            Summary = documentation?.Summary ?? "",
            Details = documentation is null ? [] :
            [
                .. documentation.Parameters.Where(each => each.Text.Length > 0),
                .. documentation.Returns.Length > 0 ? [("returns", documentation.Returns)] : Array.Empty<(string, string)>(),
                .. documentation.Exceptions.Select(each => ("throws " + each.Type, each.Text)),
            ],
            Members = withMembers && TypeOf(symbol) is { } type ? MembersOf(type) : [],
        };
    }

    private IReadOnlyList<ISymbol> AtCursor()
    {
        // The cursor may stand before, in or behind the name.
        var token = draft.Root.FindToken(Math.Min(draft.Cursor, draft.Code.Length - 1));
        if (!IsName(token) || !token.Span.IntersectsWith(draft.Cursor))
            token = draft.TokenBefore(draft.Cursor);
        if (draft.Cursor > 0 && (!IsName(token) || !token.Span.IntersectsWith(draft.Cursor)))
            token = draft.Root.FindToken(draft.Cursor - 1);
        if (!IsName(token) || !token.Span.IntersectsWith(draft.Cursor) || token.Parent is not { } node)
            return [];
        if (draft.Model.GetDeclaredSymbol(node) is { } declared)
            return [declared];
        var info = draft.Model.GetSymbolInfo(node);
        ISymbol?[] found = [info.Symbol, .. draft.Model.GetMemberGroup(node), .. info.CandidateSymbols];
        var symbols = found.OfType<ISymbol>().Where(each => each is not INamedTypeSymbol { TypeKind: TypeKind.Error }).Distinct(SymbolEqualityComparer.Default).ToArray();
        return symbols.Length > 0 || draft.Model.GetTypeInfo(node).Type is not { TypeKind: not TypeKind.Error } type ? symbols : [type];
    }

    private static bool IsName(SyntaxToken token) => token.IsKind(SyntaxKind.IdentifierToken) || token.Parent is PredefinedTypeSyntax;

    private IReadOnlyList<ISymbol> Called()
        => draft.TokenBefore(draft.Cursor).Parent?.AncestorsAndSelf().OfType<BaseArgumentListSyntax>()
            .FirstOrDefault(list => list.SpanStart < draft.Cursor && (draft.Cursor < list.Span.End || list.GetLastToken(includeZeroWidth: true).IsMissing)) is { } arguments
            ? draft.Callees(arguments)
            : [];

    private string Signature(ISymbol symbol) => symbol is INamedTypeSymbol type
        ? $"{KindOf(type)} {type.ToMinimalDisplayString(draft.Model, draft.Cursor)}"
        : symbol.ToMinimalDisplayString(draft.Model, draft.Cursor, SymbolDisplayFormat.MinimallyQualifiedFormat
            .WithMemberOptions(SymbolDisplayFormat.MinimallyQualifiedFormat.MemberOptions | SymbolDisplayMemberOptions.IncludeConstantValue)
            .AddParameterOptions(SymbolDisplayParameterOptions.IncludeDefaultValue));

    private static string KindOf(ISymbol symbol) => symbol switch
    {
        INamedTypeSymbol { IsRecord: true } => "record",
        ITypeSymbol type => type.TypeKind.ToString().ToLowerInvariant(),
        IMethodSymbol { MethodKind: MethodKind.Constructor } => "constructor",
        IMethodSymbol { IsExtensionMethod: true } => "extension method",
        IFieldSymbol { HasConstantValue: true } => "constant",
        IFieldSymbol { ContainingType.IsScriptClass: true } => "variable",
        _ => symbol.Kind.ToString().ToLowerInvariant(),
    };

    private string OriginOf(ISymbol symbol)
    {
        if (symbol.Locations.FirstOrDefault(location => location.IsInSource) is not { } place)
            return symbol.ContainingNamespace is { IsGlobalNamespace: false } space ? $"{space.ToDisplayString()}, {symbol.ContainingAssembly?.Name}" : symbol.ContainingAssembly?.Name ?? "C#";
        var line = (place.GetLineSpan().StartLinePosition.Line + 1).ToString(CultureInfo.InvariantCulture);
        return place.SourceTree == draft.Root.SyntaxTree ? $"this cell, line {line}"
            : place.SourceTree!.FilePath.StartsWith("cell ", StringComparison.Ordinal) ? $"{place.SourceTree.FilePath}, line {line}"
            : "set by a magic";
    }

    private static ITypeSymbol? TypeOf(ISymbol symbol) => symbol switch
    {
        ITypeSymbol type => type,
        IFieldSymbol field => field.Type,
        ILocalSymbol local => local.Type,
        IParameterSymbol parameter => parameter.Type,
        IPropertySymbol property => property.Type,
        IMethodSymbol { MethodKind: MethodKind.Constructor } constructor => constructor.ContainingType,
        _ => null,
    };

    private IReadOnlyList<string> MembersOf(ITypeSymbol type)
        => [.. draft.Model.LookupSymbols(draft.Cursor, type)
            .Where(each => CSharpCompletion.CanBeWritten(each) && each.ContainingType?.SpecialType is not (SpecialType.System_Object or SpecialType.System_ValueType))
            .OrderBy(each => each.Name, StringComparer.OrdinalIgnoreCase).Take(MembersMax).Select(Signature)];
}
