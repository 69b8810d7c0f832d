using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Scripting;

namespace LivePatchLab.Notebooks;

/// <summary>A chain of C# submissions (Roslyn scripting): each sees the variables, types and usings of those before it.</summary>
public sealed class CSharpSession(CSharpSessionOptions options) : ISessionVariables
{
    private const int StackBytes = 64 << 20;

    /// <summary>How long a cell may take to stop by itself, and then by force, before we say that it has not.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan PatienceWithForce = TimeSpan.FromSeconds(3);

    private static readonly ConcurrentDictionary<CSharpSessionOptions, ScriptOptions> ScriptOptionsOf = new(ReferenceEqualityComparer.Instance);
    private static readonly Lazy<Task> Warming = new(() => Task.Run(
        () => new CSharpSession(CSharpSessionOptions.Lab).RunAsync("var warm = new[] { 1 }.Select(one => one + 1).ToList(); warm.Count", 1, 1, new NoOutput(), CancellationToken.None)));

    private readonly CellGlobals _globals = new();
    private readonly Dictionary<string, (object? Value, Type Type)> _pending = new(StringComparer.Ordinal);
    private readonly HashSet<Assembly> _brought = [typeof(object).Assembly, .. options.References];
    private ScriptOptions _scriptOptions = ScriptOptionsOf.GetOrAdd(options, BaseOptions);
    private ScriptState<object>? _state;

    public CSharpSession() : this(CSharpSessionOptions.Lab) { }

    /// <summary>Has the compiler loaded and compiled to machine code before the first cell asks for it. Can be called early and need not be awaited.</summary>
    public static Task Warm() => Warming.Value;

    public static bool IsVariableName(string name) => SyntaxFacts.IsValidIdentifier(name) && SyntaxFacts.GetKeywordKind(name) == SyntaxKind.None;

    /// <summary>Makes a value a variable of the submissions that follow.</summary>
    public void Set(string name, object? value, Type type)
    {
        if (!IsVariableName(name))
            throw new UserErrorException($"'{name}' cannot be the name of a C# variable");
        var nameable = CSharpTypeName.Nameable(type);
        _pending[name] = (value, nameable);
        // A magic may bring a type of an assembly that no cell has named yet.
        foreach (var assembly in CSharpTypeName.Assemblies(nameable).Where(assembly => !assembly.IsDynamic && assembly.Location.Length > 0))
        {
            if (_brought.Add(assembly))
                _scriptOptions = _scriptOptions.AddReferences(assembly);
        }
    }

    public bool TryGet(string name, out object? value)
    {
        if (_pending.TryGetValue(name, out var pending))
        {
            value = pending.Value;
            return true;
        }
        var variable = _state?.GetVariable(name);
        value = variable?.Value;
        return variable is not null;
    }

    /// <summary>The names of all variables, the newest declaration of each.</summary>
    public IReadOnlyCollection<string> VariableNames
        => [.. (_state?.Variables.Select(variable => variable.Name) ?? []).Concat(_pending.Keys).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Whether Enter should run this text: it is whole, or wrong in a way that more lines cannot mend.</summary>
    public static bool IsComplete(string code)
        => SyntaxFactory.IsCompleteSubmission(CSharpSyntaxTree.ParseText(CellPart.OnlyCSharp(code), new CSharpParseOptions(kind: SourceCodeKind.Script)));

    /// <summary>As <see cref="IsComplete"/>, and tells what is whole from what no more lines can mend.</summary>
    public static CodeCompleteness Completeness(string code)
    {
        var tree = CSharpSyntaxTree.ParseText(CellPart.OnlyCSharp(code), new CSharpParseOptions(kind: SourceCodeKind.Script));
        return !SyntaxFactory.IsCompleteSubmission(tree) ? CodeCompleteness.Incomplete
            : tree.GetDiagnostics().Any(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error) ? CodeCompleteness.Invalid
            : CodeCompleteness.Complete;
    }

    /// <summary>What could stand at a place of a cell that is being written. Sees what earlier cells have declared; runs nothing.</summary>
    /// <param name="cell">The whole cell, its magics included; it need not compile.</param>
    /// <param name="cursor">Where, in UTF-16 units.</param>
    public CompletionList Complete(string cell, int cursor) => new CSharpCompletion(Draft(cell, cursor)).Complete();

    /// <summary>What is known of the name at a place of a cell, or of the method whose arguments are written there; null when there is neither.</summary>
    /// <param name="cell">The whole cell, its magics included; it need not compile.</param>
    /// <param name="cursor">Where, in UTF-16 units.</param>
    /// <param name="withMembers">With the members of a type.</param>
    public SymbolExplanation? Explain(string cell, int cursor, bool withMembers = false) => new CSharpInspection(Draft(cell, cursor)).Explain(withMembers);

    /// <summary>Runs one piece of C#.</summary>
    /// <param name="code">The piece.</param>
    /// <param name="cell">The cell's number, for messages.</param>
    /// <param name="firstLine">The line of the cell on which the piece starts.</param>
    /// <param name="output">Where displays and console text go.</param>
    /// <param name="token">The wish to stop.</param>
    public Task<CellResult> RunAsync(string code, int cell, int firstLine, ICellOutput output, CancellationToken token)
        => CellScope.Within(output, token, _ => RunPartAsync(code, cell, firstLine, token));

    /// <summary>As <see cref="RunAsync"/>, in the scope that the caller has opened.</summary>
    internal async Task<CellResult> RunPartAsync(string code, int cell, int firstLine, CancellationToken token)
    {
        try
        {
            await DeclarePending(token);
            // Leading empty lines make the compiler's line numbers those of the cell.
            var script = Next(new string('\n', firstLine - 1) + code, CellName(cell));
            var errors = script.Compile(token).Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error).ToArray();
            if (errors.Length > 0)
                return new(null, new(CellFailure.CompilationError, [.. errors.Select(error => Message(error, cell)).Distinct()]));
            var state = await Execute(script, token);
            _state = state;
            if (state.Exception is not null)
                return Failed(state.Exception, cell, token);
            return state.ReturnValue is null or DisplayHandle ? CellResult.Nothing : new(Formatter.Bundle(state.ReturnValue), null);
        }
        catch (Exception failure)
        {
            return Failed(failure, cell, token);
        }
    }

    private static string CellName(int cell) => $"cell {cell}";

    private static CellResult Failed(Exception failure, int cell, CancellationToken token)
        => new(null, CellErrors.Describe(failure, cell, CellName(cell), token));

    private static CellMessage Message(Diagnostic error, int cell)
    {
        var line = error.Location.IsInSource ? error.Location.GetLineSpan().StartLinePosition.Line + 1 : (int?)null;
        return new(cell, line, $"{error.GetMessage(System.Globalization.CultureInfo.InvariantCulture).ReplaceLineEndings(" ")} ({error.Id})");
    }

    private Script<object> Next(string code, string file)
    {
        var scriptOptions = _scriptOptions.WithFilePath(file);
        return _state is null
            ? CSharpScript.Create(code, scriptOptions, typeof(CellGlobals))
            : _state.Script.ContinueWith<object>(code, scriptOptions);
    }

    private static ScriptOptions BaseOptions(CSharpSessionOptions options) => ScriptOptions.Default
        .AddReferences(typeof(CellGlobals).Assembly, typeof(System.Text.Json.JsonDocument).Assembly, typeof(System.Collections.Immutable.ImmutableArray).Assembly)
        .AddReferences(options.References)
        .AddImports(options.Usings)
        // Only with symbols, and only in code that was not optimised, does every exception know its line: of an index out of its
        // range, optimised code tells none. What takes long in a cell is the lab's own code, which is optimised.
        .WithOptimizationLevel(OptimizationLevel.Debug)
        .WithEmitDebugInformation(true)
        .WithFileEncoding(Encoding.UTF8);

    private CSharpDraft Draft(string cell, int cursor)
    {
        var code = CellPart.OnlyCSharp(cell);
        Script<object> script;
        if (_pending.Count == 0)
            script = Next(code, "draft");
        else
            script = Declarations().ContinueWith<object>(code, _scriptOptions.WithFilePath("draft"));
        return new(script.GetCompilation(), code, cursor);
    }

    /// <summary>The submission that makes variables of what magics have set.</summary>
    private Script<object> Declarations() => Next(
        string.Concat(_pending.Select(each => $"var {each.Key} = ({CSharpTypeName.Of(each.Value.Type)})valueFromMagic(\"{each.Key}\");\n")), "variables set by magics");

    private async Task DeclarePending(CancellationToken token)
    {
        if (_pending.Count == 0)
            return;
        foreach (var (name, (value, _)) in _pending)
            _globals.Put(name, value);
        var script = Declarations();
        _state = await (_state is null ? script.RunAsync(_globals, token) : script.RunFromAsync(_state, token));
        _pending.Clear();
    }

    /// <summary>
    /// Runs on a thread of its own, because only such a thread can be stopped by force: first the token asks; a loop that does not listen is aborted by the
    /// runtime; a cell that even that does not reach is left behind, and the user is told so.
    /// </summary>
    private async Task<ScriptState<object>> Execute(Script<object> script, CancellationToken token)
    {
        using var force = new CancellationTokenSource();
        using var giveUp = new CancellationTokenSource();
        using var asked = token.UnsafeRegister(_ =>
        {
            force.CancelAfter(Patience);
            giveUp.CancelAfter(PatienceWithForce);
        }, null);
        var state = _state;
        var forced = force.Token;
        var started = new TaskCompletionSource<Task<ScriptState<object>>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() => started.SetFrom(() => RunUntil(forced, () => state is null
            ? script.RunAsync(_globals, _ => true, CancellationToken.None)
            : script.RunFromAsync(state, _ => true, CancellationToken.None))), StackBytes)
        {
            IsBackground = true,
            Name = "notebook cell",
        };
        thread.Start();
        try
        {
            // A cell that awaits has left its thread; then only the token can stop it.
            return await (await started.Task.WaitAsync(giveUp.Token)).WaitAsync(giveUp.Token);
        }
        catch (OperationCanceledException) when (giveUp.IsCancellationRequested)
        {
            throw new CellLeftBehindException();
        }
        finally
        {
            if (force.IsCancellationRequested)
                ConsoleCapture.Renew();
        }
    }

    private static Task<ScriptState<object>> RunUntil(CancellationToken forced, Func<Task<ScriptState<object>>> run)
    {
        Task<ScriptState<object>>? running = null;
#pragma warning disable SYSLIB0046 // Made for hosts of scripts, which is what this is; whatever else stops a loop that does not listen ends the process.
        ControlledExecution.Run(() => running = run(), forced);
#pragma warning restore SYSLIB0046
        return running!;
    }

    private sealed class NoOutput : ICellOutput
    {
        public void Write(string stream, string text) { }

        public Action<MimeBundle> Display(MimeBundle bundle) => _ => { };

        public void Report(Progress progress) { }
    }
}

/// <summary>Whether a text could be run as it stands.</summary>
public enum CodeCompleteness
{
    Complete,

    /// <summary>More lines could make it whole.</summary>
    Incomplete,

    /// <summary>Wrong, whatever follows.</summary>
    Invalid,
}

/// <summary>An interrupted cell has not stopped.</summary>
internal sealed class CellLeftBehindException() : Exception("interrupted, but its code does not stop and still runs in the background; restart to be rid of it");

file static class TaskCompletion
{
    public static void SetFrom<T>(this TaskCompletionSource<T> source, Func<T> make)
    {
        try
        {
            source.SetResult(make());
        }
        catch (Exception failure)
        {
            source.SetException(failure);
        }
    }
}
