using System.ComponentModel;
using LivePatchLab.Machine;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LivePatchLab.Notebooks;

/// <summary>What is written into every loop and every method of a cell before it is compiled: the place where an interrupt takes effect.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class CellInterruption
{
    private static int _asked;

    /// <exception cref="OperationCanceledException">The cell that this belongs to is to stop, and has not done so by itself.</exception>
    public static void Check()
    {
        // One load while nobody interrupts anything.
        if (Volatile.Read(ref _asked) == 0)
            return;
        UserCall.ThrowIfStopped();
        CallerCancellation.Current?.Token.ThrowIfCancellationRequested();
    }

    internal static void Begin() => Interlocked.Increment(ref _asked);

    internal static void End() => Interlocked.Decrement(ref _asked);
}

/// <summary>
/// Writes <see cref="CellInterruption.Check"/> into a cell's loops, methods and labels, without moving any line. An exception thrown there ends a loop full of try and
/// catch too, for its next turn throws again.
/// </summary>
internal sealed class InterruptChecks : CSharpSyntaxRewriter
{
    private static readonly StatementSyntax Check = SyntaxFactory.ParseStatement($"global::{typeof(CellInterruption).FullName}.{nameof(CellInterruption.Check)}();");

    /// <summary>The same code with checks; code that does not parse is left alone, so that its errors are its own.</summary>
    public static string AddTo(string code)
    {
        var root = CSharpSyntaxTree.ParseText(code, new CSharpParseOptions(kind: SourceCodeKind.Script)).GetRoot();
        return root.ContainsDiagnostics ? code : new InterruptChecks().Visit(root).ToFullString();
    }

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

    /// <summary>The body of a method, of a local function or of a lambda.</summary>
    public override SyntaxNode VisitBlock(BlockSyntax node)
    {
        var block = (BlockSyntax)base.VisitBlock(node)!;
        return node.Parent is MethodDeclarationSyntax or LocalFunctionStatementSyntax or AnonymousFunctionExpressionSyntax ? Checked(block) : block;
    }

    private static StatementSyntax Checked(StatementSyntax body) => body is BlockSyntax block ? Checked(block) : SyntaxFactory.Block(Check, body);

    private static BlockSyntax Checked(BlockSyntax block) => block.WithStatements(block.Statements.Insert(0, Check));
}
