using System.ComponentModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LivePatchLab.Notebooks;

/// <summary>What could stand at the cursor of a C# cell, asked of the compiler's own rules of scope.</summary>
internal sealed class CSharpCompletion(CSharpDraft draft)
{
    /// <summary>Beyond so many names their signatures are left out: nobody reads them, and they take longer to make than the names.</summary>
    private const int SignaturesMax = 300;

    private static readonly string[] Keywords =
    [
        "abstract", "async", "await", "base", "bool", "break", "byte", "case", "catch", "char", "checked", "class", "const", "continue", "decimal", "default", "delegate",
        "do", "double", "else", "enum", "event", "extern", "false", "finally", "fixed", "float", "for", "foreach", "from", "global", "goto", "if", "implicit", "in",
        "int", "interface", "internal", "is", "lock", "long", "nameof", "namespace", "new", "null", "object", "operator", "out", "override", "params", "partial",
        "private", "protected", "public", "readonly", "record", "ref", "required", "return", "sbyte", "sealed", "short", "sizeof", "stackalloc", "static", "string",
        "struct", "switch", "this", "throw", "true", "try", "typeof", "uint", "ulong", "unchecked", "unsafe", "ushort", "using", "var", "virtual", "void", "volatile",
        "when", "where", "while", "with", "yield",
    ];

    private static readonly SymbolDisplayFormat SignatureFormat = SymbolDisplayFormat.MinimallyQualifiedFormat
        .WithMemberOptions(SymbolDisplayMemberOptions.IncludeParameters | SymbolDisplayMemberOptions.IncludeType | SymbolDisplayMemberOptions.IncludeConstantValue | SymbolDisplayMemberOptions.IncludeRef)
        .WithKindOptions(SymbolDisplayKindOptions.IncludeTypeKeyword | SymbolDisplayKindOptions.IncludeNamespaceKeyword);

    private readonly Dictionary<string, Offer> _offers = new(StringComparer.Ordinal);

    private int At => draft.WordStart;

    private SemanticModel Model => draft.Model;

    public CompletionList Complete()
    {
        if (!draft.IsInLiteral)
            Collect();
        var items = _offers.Values
            .OrderBy(offer => offer.Text.StartsWith(draft.Word, StringComparison.Ordinal) ? 0 : 1)
            .ThenBy(offer => offer.Rank)
            .ThenBy(offer => offer.Text, StringComparer.OrdinalIgnoreCase)
            .ThenBy(offer => offer.Text, StringComparer.Ordinal);
        var withSignatures = _offers.Count <= SignaturesMax;
        return new(draft.WordStart, draft.Cursor, [.. items.Select(offer => new CompletionItem(offer.Text, offer.Kind, withSignatures ? Signature(offer) : ""))]);
    }

    private void Collect()
    {
        switch (draft.Left.Kind())
        {
            case SyntaxKind.DotToken or SyntaxKind.ColonColonToken:
                AddMembers(draft.Left);
                break;
            case SyntaxKind.UsingKeyword:
                AddNamespaces(null);
                Add("static", CompletionKind.Keyword);
                Add("var", CompletionKind.Keyword);
                break;
            case SyntaxKind.NewKeyword:
                AddSymbols(Model.LookupNamespacesAndTypes(At).Where(CanBeMade));
                break;
            case SyntaxKind.OpenBraceToken or SyntaxKind.CommaToken when draft.Left.Parent is InitializerExpressionSyntax initializer && AddInitialised(initializer):
                break;
            default:
                AddExpected();
                AddSymbols(Model.LookupSymbols(At));
                foreach (var keyword in Keywords)
                    Add(keyword, CompletionKind.Keyword);
                break;
        }
    }

    private void AddMembers(SyntaxToken dot)
    {
        switch (dot.Parent)
        {
            case MemberAccessExpressionSyntax access:
                AddMembersOf(Model.GetSymbolInfo(access.Expression), Model.GetTypeInfo(access.Expression).Type);
                break;
            case MemberBindingExpressionSyntax { Parent: { } } binding:
                // In a?.b.c?.d the receiver of .d is c: the nearest ?. whose right side the binding is in.
                if (binding.Ancestors().OfType<ConditionalAccessExpressionSyntax>().FirstOrDefault(each => each.WhenNotNull.Span.Contains(binding.SpanStart)) is { } conditional)
                    AddMembersOf(default, WithoutNull(Model.GetTypeInfo(conditional.Expression).Type));
                break;
            case QualifiedNameSyntax name when name.Ancestors().OfType<UsingDirectiveSyntax>().FirstOrDefault() is { } directive:
                if (Model.GetSymbolInfo(name.Left).Symbol is INamespaceOrTypeSymbol space)
                    AddSymbols(Model.LookupNamespacesAndTypes(At, space).Where(each => each is INamespaceSymbol || directive.StaticKeyword.RawKind != 0 || directive.Alias is not null));
                break;
            case QualifiedNameSyntax name:
                // "machine.", with another statement on the next line, reads like the declaration of a variable whose type is machine.Something.
                AddMembersOf(name.Left);
                break;
            case AliasQualifiedNameSyntax:
                AddSymbols(Model.LookupNamespacesAndTypes(At, Model.Compilation.GlobalNamespace));
                break;
        }
    }

    private void AddMembersOf(NameSyntax name)
    {
        var expression = SyntaxFactory.ParseExpression(name.ToString());
        var info = Model.GetSpeculativeSymbolInfo(name.SpanStart, expression, SpeculativeBindingOption.BindAsExpression);
        if (info.Symbol is null)
            info = Model.GetSpeculativeSymbolInfo(name.SpanStart, expression, SpeculativeBindingOption.BindAsTypeOrNamespace);
        AddMembersOf(info, Model.GetSpeculativeTypeInfo(name.SpanStart, expression, SpeculativeBindingOption.BindAsExpression).Type);
    }

    private void AddMembersOf(SymbolInfo receiver, ITypeSymbol? type)
    {
        if (receiver.Symbol is INamespaceSymbol space)
            AddSymbols(Model.LookupNamespacesAndTypes(At, space));
        else if (receiver.Symbol is ITypeSymbol named)
            AddSymbols(Model.LookupStaticMembers(At, named).Concat(Model.LookupNamespacesAndTypes(At, named)));
        else if (type is { TypeKind: not TypeKind.Error, SpecialType: not SpecialType.System_Void })
            AddSymbols(Model.LookupSymbols(At, type, includeReducedExtensionMethods: true).Where(each => !each.IsStatic && each is not ITypeSymbol));
    }

    private static ITypeSymbol? WithoutNull(ITypeSymbol? type)
        => type is INamedTypeSymbol { OriginalDefinition.SpecialType: SpecialType.System_Nullable_T } nullable ? nullable.TypeArguments[0] : type;

    private void AddNamespaces(INamespaceSymbol? container) => AddSymbols(Model.LookupNamespacesAndTypes(At, container).OfType<INamespaceSymbol>());

    private static bool CanBeMade(ISymbol symbol) => symbol is INamespaceSymbol or ITypeSymbol { IsStatic: false, IsAbstract: false, TypeKind: not TypeKind.Enum };

    /// <summary>The properties and fields that an object initialiser may set; false when there are none, as in a collection.</summary>
    private bool AddInitialised(InitializerExpressionSyntax initializer)
    {
        var type = initializer.Parent switch
        {
            BaseObjectCreationExpressionSyntax creation => Model.GetTypeInfo(creation).Type,
            WithExpressionSyntax copy => Model.GetTypeInfo(copy.Expression).Type,
            _ => null,
        };
        if (type is null)
            return false;
        var given = initializer.Expressions.OfType<AssignmentExpressionSyntax>().Select(each => each.Left.ToString()).ToHashSet(StringComparer.Ordinal);
        var before = _offers.Count;
        AddSymbols(Model.LookupSymbols(At, type).Where(each => !given.Contains(each.Name) && each switch
        {
            IPropertySymbol property => property is { IsStatic: false, IsIndexer: false, SetMethod: { } setter } && Model.IsAccessible(At, setter),
            IFieldSymbol field => field is { IsStatic: false, IsReadOnly: false },
            _ => false,
        }));
        return _offers.Count > before;
    }

    /// <summary>What fits better than any name in scope: the parameters of the call, and the values of the enum that is wanted.</summary>
    private void AddExpected()
    {
        if (draft.Left.Parent is BaseArgumentListSyntax arguments && draft.Left.Kind() is SyntaxKind.OpenParenToken or SyntaxKind.CommaToken)
        {
            var before = arguments.Arguments.Where(argument => argument.Span.End <= At && !argument.Expression.IsMissing).ToArray();
            var named = before.Select(argument => argument.NameColon?.Name.Identifier.ValueText).OfType<string>().ToHashSet(StringComparer.Ordinal);
            foreach (var callee in draft.Callees(arguments))
            {
                foreach (var parameter in callee.Parameters.Skip(named.Count > 0 ? 0 : before.Length).Where(parameter => !named.Contains(parameter.Name)))
                    Add(new(parameter.Name + ":", CompletionKind.Parameter, parameter, 0));
                if (named.Count == 0 && before.Length < callee.Parameters.Length)
                    AddValuesOf(callee.Parameters[before.Length].Type);
            }
        }
        else if (draft.Left is { RawKind: (int)SyntaxKind.ColonToken, Parent: NameColonSyntax { Parent.Parent: BaseArgumentListSyntax list } name })
        {
            foreach (var parameter in draft.Callees(list).SelectMany(callee => callee.Parameters).Where(parameter => parameter.Name == name.Name.Identifier.ValueText))
                AddValuesOf(parameter.Type);
        }
        else
        {
            AddValuesOf(draft.Left.Parent switch
            {
                BinaryExpressionSyntax binary when binary.OperatorToken == draft.Left => Model.GetTypeInfo(binary.Left).Type,
                AssignmentExpressionSyntax assignment when assignment.OperatorToken == draft.Left => Model.GetTypeInfo(assignment.Left).Type,
                CaseSwitchLabelSyntax { Parent.Parent: SwitchStatementSyntax of } => Model.GetTypeInfo(of.Expression).Type,
                _ => null,
            });
        }
    }

    private void AddValuesOf(ITypeSymbol? type)
    {
        if (WithoutNull(type) is not INamedTypeSymbol { TypeKind: TypeKind.Enum } values)
            return;
        var name = values.ToMinimalDisplayString(Model, At);
        foreach (var value in values.GetMembers().OfType<IFieldSymbol>().Where(field => field.HasConstantValue))
        {
            // Both "Wor" and "Idle" should find Workload.Idle.
            var text = $"{name}.{value.Name}";
            if (value.Name.StartsWith(draft.Word, StringComparison.OrdinalIgnoreCase) || text.StartsWith(draft.Word, StringComparison.OrdinalIgnoreCase))
                _offers.TryAdd(text, new(text, CompletionKind.Constant, value, 0));
        }
    }

    private void AddSymbols(IEnumerable<ISymbol> symbols)
    {
        foreach (var symbol in symbols)
        {
            if (symbol.Name.StartsWith(draft.Word, StringComparison.OrdinalIgnoreCase) && CanBeWritten(symbol))
                Add(new(SyntaxFacts.GetKeywordKind(symbol.Name) == SyntaxKind.None ? symbol.Name : "@" + symbol.Name, KindOf(symbol), symbol, 1));
        }
    }

    private void Add(string keyword, CompletionKind kind) => Add(new(keyword, kind, null, 1));

    private void Add(Offer offer)
    {
        if (!offer.Text.StartsWith(draft.Word, StringComparison.OrdinalIgnoreCase) && !offer.Text.StartsWith('@'))
            return;
        if (_offers.TryGetValue(offer.Text, out var known))
            known.Overloads++;
        else
            _offers.Add(offer.Text, offer);
    }

    internal static bool CanBeWritten(ISymbol symbol)
        => symbol.CanBeReferencedByName
            && symbol is not INamedTypeSymbol { IsScriptClass: true }
            && symbol is not IMethodSymbol { MethodKind: not (MethodKind.Ordinary or MethodKind.ReducedExtension or MethodKind.LocalFunction or MethodKind.DelegateInvoke) }
            && !symbol.GetAttributes().Any(IsHiding);

    private static bool IsHiding(AttributeData attribute)
        => attribute.AttributeClass?.Name == nameof(EditorBrowsableAttribute) && attribute.ConstructorArguments is [{ Value: (int)EditorBrowsableState.Never }];

    private static CompletionKind KindOf(ISymbol symbol) => symbol switch
    {
        INamespaceSymbol => CompletionKind.Namespace,
        ITypeSymbol => CompletionKind.Type,
        IMethodSymbol => CompletionKind.Method,
        IPropertySymbol => CompletionKind.Property,
        IEventSymbol => CompletionKind.Event,
        IParameterSymbol => CompletionKind.Parameter,
        IFieldSymbol { HasConstantValue: true } => CompletionKind.Constant,
        // What a cell declares is a field of the submission's class.
        IFieldSymbol field => field.ContainingType.IsScriptClass ? CompletionKind.Variable : CompletionKind.Field,
        _ => CompletionKind.Variable,
    };

    private string Signature(Offer offer)
        => offer.Symbol is null or INamespaceSymbol ? ""
            : offer.Symbol.ToMinimalDisplayString(Model, At, SignatureFormat) + (offer.Overloads == 0 ? "" : $" (+{offer.Overloads} more)");

    private sealed record Offer(string Text, CompletionKind Kind, ISymbol? Symbol, int Rank)
    {
        /// <summary>How many more there are of the name.</summary>
        public int Overloads { get; set; }
    }
}
