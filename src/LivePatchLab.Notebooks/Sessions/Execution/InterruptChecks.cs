using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace LivePatchLab.Notebooks;

/// <summary>
/// Writes <see cref="CellInterruption.Check"/> into a cell's loops and labels and <see cref="CellInterruption.Enter"/> into everything that has a body, without moving any line. An
/// exception thrown there ends a loop full of try and catch too, for its next turn throws again. A body that is an expression becomes a block.
/// </summary>
internal sealed class InterruptChecks : CSharpSyntaxRewriter
{
    private static readonly StatementSyntax Check = Call(nameof(CellInterruption.Check));
    private static readonly StatementSyntax Enter = Call(nameof(CellInterruption.Enter));

    private readonly IReadOnlyDictionary<TextSpan, bool> _lambdas;

    private InterruptChecks(IReadOnlyDictionary<TextSpan, bool> lambdas) => _lambdas = lambdas;

    /// <summary>The same code with checks; code that does not parse is left alone, so that its errors are its own.</summary>
    /// <param name="code">The cell.</param>
    /// <param name="bind">Its compilation, which says what a lambda returns; it is asked for only where a lambda may call itself.</param>
    public static string AddTo(string code, Func<string, Compilation> bind)
    {
        var root = CSharpSyntaxTree.ParseText(code, new CSharpParseOptions(kind: SourceCodeKind.Script)).GetRoot();
        return root.ContainsDiagnostics ? code : new InterruptChecks(RecursiveLambdas(root, code, bind)).Visit(root).ToFullString();
    }

    /// <summary>
    /// The lambdas of an expression that call something by a simple name, which may be the variable that they are in; and whether that expression is a statement. Nothing but the
    /// type that a lambda is converted to tells; those that become expression trees cannot have a block.
    /// </summary>
    private static Dictionary<TextSpan, bool> RecursiveLambdas(SyntaxNode root, string code, Func<string, Compilation> bind)
    {
        var isStatement = new Dictionary<TextSpan, bool>();
        if (!root.DescendantNodes().OfType<LambdaExpressionSyntax>().Any(MayRecur)) return isStatement;
        var compilation = bind(code);
        var tree = compilation.SyntaxTrees.Single();
        var model = compilation.GetSemanticModel(tree);
        foreach (var lambda in tree.GetRoot().DescendantNodes().OfType<LambdaExpressionSyntax>().Where(MayRecur))
        {
            if (model.GetSymbolInfo(lambda).Symbol is not IMethodSymbol method || model.GetTypeInfo(lambda).ConvertedType is not INamedTypeSymbol { TypeKind: TypeKind.Delegate }) continue;
            isStatement[lambda.Span] = method.ReturnsVoid || (method.IsAsync && method.ReturnType is INamedTypeSymbol { IsGenericType: false });
        }

        return isStatement;
    }

    private static bool MayRecur(LambdaExpressionSyntax lambda)
        => lambda.ExpressionBody?.DescendantNodesAndSelf().OfType<InvocationExpressionSyntax>()
            .Any(call => call.Expression is IdentifierNameSyntax or MemberAccessExpressionSyntax { Name.Identifier.ValueText: "Invoke" }) ?? false;

    public override SyntaxNode VisitWhileStatement(WhileStatementSyntax node)
    {
        var loop = (WhileStatementSyntax)base.VisitWhileStatement(node)!;
        return loop.WithStatement(Checked(loop.Statement));
    }

    public override SyntaxNode VisitDoStatement(DoStatementSyntax node)
    {
        var loop = (DoStatementSyntax)base.VisitDoStatement(node)!;
        return loop.WithStatement(Checked(loop.Statement));
    }

    public override SyntaxNode VisitForStatement(ForStatementSyntax node)
    {
        var loop = (ForStatementSyntax)base.VisitForStatement(node)!;
        return loop.WithStatement(Checked(loop.Statement));
    }

    public override SyntaxNode VisitForEachStatement(ForEachStatementSyntax node)
    {
        var loop = (ForEachStatementSyntax)base.VisitForEachStatement(node)!;
        return loop.WithStatement(Checked(loop.Statement));
    }

    public override SyntaxNode VisitForEachVariableStatement(ForEachVariableStatementSyntax node)
    {
        var loop = (ForEachVariableStatementSyntax)base.VisitForEachVariableStatement(node)!;
        return loop.WithStatement(Checked(loop.Statement));
    }

    /// <summary>Where a goto leads.</summary>
    public override SyntaxNode VisitLabeledStatement(LabeledStatementSyntax node)
    {
        var labelled = (LabeledStatementSyntax)base.VisitLabeledStatement(node)!;
        // In a block of its own a declaration would be gone for what follows it.
        return labelled.Statement is LocalDeclarationStatementSyntax or LocalFunctionStatementSyntax or LabeledStatementSyntax ? labelled : labelled.WithStatement(Checked(labelled.Statement));
    }

    /// <summary>The block that is a body.</summary>
    public override SyntaxNode VisitBlock(BlockSyntax node)
    {
        var block = (BlockSyntax)base.VisitBlock(node)!;
        return node.Parent is BaseMethodDeclarationSyntax or LocalFunctionStatementSyntax or AnonymousFunctionExpressionSyntax or AccessorDeclarationSyntax ? Entered(block) : block;
    }

    public override SyntaxNode VisitMethodDeclaration(MethodDeclarationSyntax node)
    {
        var method = (MethodDeclarationSyntax)base.VisitMethodDeclaration(node)!;
        return method.ExpressionBody is not { } arrow ? method
            : method.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, method.SemicolonToken, IsStatement(method.ReturnType, method.Modifiers)));
    }

    public override SyntaxNode VisitLocalFunctionStatement(LocalFunctionStatementSyntax node)
    {
        var function = (LocalFunctionStatementSyntax)base.VisitLocalFunctionStatement(node)!;
        return function.ExpressionBody is not { } arrow ? function
            : function.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, function.SemicolonToken, IsStatement(function.ReturnType, function.Modifiers)));
    }

    public override SyntaxNode VisitConstructorDeclaration(ConstructorDeclarationSyntax node)
    {
        var constructor = (ConstructorDeclarationSyntax)base.VisitConstructorDeclaration(node)!;
        return constructor.ExpressionBody is not { } arrow ? constructor
            : constructor.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, constructor.SemicolonToken, isStatement: true));
    }

    public override SyntaxNode VisitDestructorDeclaration(DestructorDeclarationSyntax node)
    {
        var destructor = (DestructorDeclarationSyntax)base.VisitDestructorDeclaration(node)!;
        return destructor.ExpressionBody is not { } arrow ? destructor
            : destructor.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, destructor.SemicolonToken, isStatement: true));
    }

    public override SyntaxNode VisitOperatorDeclaration(OperatorDeclarationSyntax node)
    {
        var declared = (OperatorDeclarationSyntax)base.VisitOperatorDeclaration(node)!;
        return declared.ExpressionBody is not { } arrow ? declared
            : declared.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, declared.SemicolonToken, IsStatement(declared.ReturnType, declared.Modifiers)));
    }

    public override SyntaxNode VisitConversionOperatorDeclaration(ConversionOperatorDeclarationSyntax node)
    {
        var conversion = (ConversionOperatorDeclarationSyntax)base.VisitConversionOperatorDeclaration(node)!;
        return conversion.ExpressionBody is not { } arrow ? conversion
            : conversion.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, conversion.SemicolonToken, isStatement: false));
    }

    public override SyntaxNode VisitPropertyDeclaration(PropertyDeclarationSyntax node)
    {
        var property = (PropertyDeclarationSyntax)base.VisitPropertyDeclaration(node)!;
        return property.ExpressionBody is not { } arrow ? property
            : property.WithExpressionBody(null).WithSemicolonToken(default).WithAccessorList(Getter(arrow, property.SemicolonToken));
    }

    public override SyntaxNode VisitIndexerDeclaration(IndexerDeclarationSyntax node)
    {
        var indexer = (IndexerDeclarationSyntax)base.VisitIndexerDeclaration(node)!;
        return indexer.ExpressionBody is not { } arrow ? indexer
            : indexer.WithExpressionBody(null).WithSemicolonToken(default).WithAccessorList(Getter(arrow, indexer.SemicolonToken));
    }

    public override SyntaxNode VisitAccessorDeclaration(AccessorDeclarationSyntax node)
    {
        var accessor = (AccessorDeclarationSyntax)base.VisitAccessorDeclaration(node)!;
        return accessor.ExpressionBody is not { } arrow ? accessor
            : accessor.WithExpressionBody(null).WithSemicolonToken(default).WithBody(Block(arrow, accessor.SemicolonToken, !accessor.IsKind(SyntaxKind.GetAccessorDeclaration)));
    }

    public override SyntaxNode VisitSimpleLambdaExpression(SimpleLambdaExpressionSyntax node)
    {
        var lambda = (SimpleLambdaExpressionSyntax)base.VisitSimpleLambdaExpression(node)!;
        return lambda.ExpressionBody is { } body && _lambdas.TryGetValue(node.Span, out var isStatement) ? lambda.WithExpressionBody(null).WithBlock(Block(body, isStatement)) : lambda;
    }

    public override SyntaxNode VisitParenthesizedLambdaExpression(ParenthesizedLambdaExpressionSyntax node)
    {
        var lambda = (ParenthesizedLambdaExpressionSyntax)base.VisitParenthesizedLambdaExpression(node)!;
        return lambda.ExpressionBody is { } body && _lambdas.TryGetValue(node.Span, out var isStatement) ? lambda.WithExpressionBody(null).WithBlock(Block(body, isStatement)) : lambda;
    }

    private static StatementSyntax Call(string method) => SyntaxFactory.ParseStatement($"global::{typeof(CellInterruption).FullName}.{method}();");

    /// <summary>True where nothing is returned: by void, and by a task that says when and not what.</summary>
    private static bool IsStatement(TypeSyntax returned, SyntaxTokenList modifiers)
        => returned is PredefinedTypeSyntax { Keyword.RawKind: (int)SyntaxKind.VoidKeyword }
            || (modifiers.Any(SyntaxKind.AsyncKeyword) && returned.DescendantNodesAndSelf().OfType<SimpleNameSyntax>().LastOrDefault() is IdentifierNameSyntax { Identifier.ValueText: "Task" or "ValueTask" });

    private static AccessorListSyntax Getter(ArrowExpressionClauseSyntax arrow, SyntaxToken semicolon)
        => SyntaxFactory.AccessorList([SyntaxFactory.AccessorDeclaration(SyntaxKind.GetAccessorDeclaration).WithBody(Block(arrow, semicolon, isStatement: false))]);

    // What stands between the tokens, line ends among it, stays between them.
    private static BlockSyntax Block(ArrowExpressionClauseSyntax arrow, SyntaxToken semicolon, bool isStatement)
    {
        var block = Block(arrow.Expression.WithLeadingTrivia(arrow.ArrowToken.LeadingTrivia.AddRange(arrow.ArrowToken.TrailingTrivia).AddRange(arrow.Expression.GetLeadingTrivia())), isStatement);
        return block.WithCloseBraceToken(block.CloseBraceToken.WithLeadingTrivia(semicolon.LeadingTrivia).WithTrailingTrivia(semicolon.TrailingTrivia));
    }

    private static BlockSyntax Block(ExpressionSyntax body, bool isStatement)
        => SyntaxFactory.Block(Enter, body is ThrowExpressionSyntax thrown ? SyntaxFactory.ThrowStatement(thrown.ThrowKeyword, thrown.Expression, SyntaxFactory.Token(SyntaxKind.SemicolonToken))
            : isStatement ? SyntaxFactory.ExpressionStatement(body)
            : SyntaxFactory.ReturnStatement(SyntaxFactory.Token(SyntaxKind.ReturnKeyword).WithTrailingTrivia(SyntaxFactory.Space), body, SyntaxFactory.Token(SyntaxKind.SemicolonToken)));

    private static StatementSyntax Checked(StatementSyntax body) => body is BlockSyntax block ? Checked(block) : SyntaxFactory.Block(Check, body);

    private static BlockSyntax Checked(BlockSyntax block) => block.WithStatements(block.Statements.Insert(0, Check));

    private static BlockSyntax Entered(BlockSyntax block) => block.WithStatements(block.Statements.Insert(0, Enter));
}
