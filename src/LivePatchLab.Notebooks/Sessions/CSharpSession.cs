using System.Collections.Concurrent;
using System.Reflection;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Scripting;
using Microsoft.CodeAnalysis.Scripting.Hosting;
using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks;

/// <summary>A chain of C# submissions (Roslyn scripting): each sees the variables, types and usings of those before it.</summary>
public sealed class CSharpSession(CSharpSessionOptions options) : ISessionVariables
{
    private static readonly ConcurrentDictionary<CSharpSessionOptions, ScriptOptions> ScriptOptionsOf = new(ReferenceEqualityComparer.Instance);
    private static readonly Lazy<Task> Warming = new(() => Task.Run(
        () => new CSharpSession(CSharpSessionOptions.Lab).RunAsync("var warm = new[] { 1 }.Select(one => one + 1).ToList(); warm.Count", 1, 1, new NoOutput(), CancellationToken.None)));

    private readonly CellGlobals _globals = new();
    private readonly SessionReferences _references = new();
    private readonly InteractiveAssemblyLoader _loader = new();
    private readonly Dictionary<string, (object? Value, Type Type)> _pending = new(StringComparer.Ordinal);
    private readonly HashSet<Assembly> _brought = [typeof(object).Assembly, .. options.References];
    private ScriptOptions _scriptOptions = ScriptOptionsOf.GetOrAdd(options, BaseOptions);
    private ScriptState<object>? _state;
    private DraftCompilation? _draft;
    private int _pendingVersion;

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
        _pendingVersion++;
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
        => SyntaxFactory.IsCompleteSubmission(CSharpSyntaxTree.ParseText(CellUsings.Rewrite(CellPart.OnlyCSharp(code)), new CSharpParseOptions(kind: SourceCodeKind.Script)));

    /// <summary>As <see cref="IsComplete"/>, and tells what is whole from what no more lines can mend.</summary>
    public static CodeCompleteness Completeness(string code)
    {
        var tree = CSharpSyntaxTree.ParseText(CellUsings.Rewrite(CellPart.OnlyCSharp(code)), new CSharpParseOptions(kind: SourceCodeKind.Script));
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
            if (await AddReferences(code, cell, firstLine, token) is { } refused)
                return new(null, refused);
            await DeclarePending(token);
            // Leading empty lines make the compiler's line numbers those of the cell.
            var script = Next(InterruptChecks.AddTo(new string('\n', firstLine - 1) + CellUsings.Rewrite(CellPart.OnlyCSharp(code)), text => Next(text, CellName(cell)).GetCompilation()), CellName(cell));
            var errors = script.Compile(token).Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error).ToArray();
            if (errors.Length > 0)
                return new(null, new(CellFailure.CompilationError, [.. errors.Select(error => Message(error, cell)).Distinct()]));
            return await Execute(script, cell, token);
        }
        catch (Exception failure)
        {
            return Failed(failure, cell, token);
        }
    }

    /// <summary>Loads what lines like <c>#r "nuget: Id"</c> ask for, wherever they stand; answers with what was wrong, or null.</summary>
    private async Task<CellFailure?> AddReferences(string code, int cell, int firstLine, CancellationToken token)
    {
        var lines = code.ReplaceLineEndings("\n").Split('\n').Index().Where(line => ReferenceDirective.IsDirective(line.Item)).ToArray();
        if (lines.Length == 0)
            return null;
        var at = firstLine + lines[0].Index;
        try
        {
            var directives = new List<ReferenceDirective>();
            foreach (var (index, line) in lines)
            {
                at = firstLine + index;
                directives.Add(ReferenceDirective.Parse(line));
            }
            at = firstLine + lines[0].Index;
            var scope = CellScope.Current;
            foreach (var assembly in await _references.AddAsync(directives, text => scope?.Report(new(0, directives.Count, text)), token))
            {
                _loader.RegisterDependency(assembly);
                if (_brought.Add(assembly))
                    _scriptOptions = _scriptOptions.AddReferences(assembly);
            }
            _draft = null;
            return null;
        }
        catch (Exception failure) when (failure is UserErrorException or UnsupportedInputException)
        {
            return new(CellFailure.UserError, [new(cell, at, failure.Message)]);
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
            ? CSharpScript.Create(code, scriptOptions, typeof(CellGlobals), _loader)
            : _state.Script.ContinueWith<object>(code, scriptOptions);
    }

    private static ScriptOptions BaseOptions(CSharpSessionOptions options) => ScriptOptions.Default
        .AddReferences(typeof(CellGlobals).Assembly, typeof(System.Text.Json.JsonDocument).Assembly, typeof(System.Collections.Immutable.ImmutableArray).Assembly)
        .AddReferences(options.References)
        .AddImports(options.Usings)
        .AddImports(options.StaticUsings)
        // Only with symbols, and only in code that was not optimised, does every exception know its line: of an index out of its
        // range, optimised code tells none. What takes long in a cell is the lab's own code, which is optimised.
        .WithOptimizationLevel(OptimizationLevel.Debug)
        .WithEmitDebugInformation(true)
        .WithFileEncoding(Encoding.UTF8);

    private CSharpDraft Draft(string cell, int cursor)
    {
        var code = CellPart.OnlyCSharp(cell);
        // With another text in its place the compilation keeps what it knows of all that is referred to, which is by far the most of it.
        if (_draft is not { } draft || draft.After != _state || draft.Pending != _pendingVersion)
        {
            var script = _pending.Count == 0 ? Next("", "draft") : Declarations().ContinueWith<object>("", _scriptOptions.WithFilePath("draft"));
            draft = new(_state, _pendingVersion, script.GetCompilation());
        }
        var old = draft.Compilation.SyntaxTrees.Single();
        var tree = CSharpSyntaxTree.ParseText(code, (CSharpParseOptions)old.Options, old.FilePath, Encoding.UTF8);
        _draft = draft with { Compilation = draft.Compilation.ReplaceSyntaxTree(old, tree) };
        return new(_draft.Compilation, code, cursor);
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

    /// <summary>Runs it, and makes a picture of its value: what a value says of itself is the user's code too, and may not end.</summary>
    private async Task<CellResult> Execute(Script<object> script, int cell, CancellationToken token)
    {
        var threads = new CellThreads(token);
        ScriptState<object>? reached = null;
        try
        {
            return await threads.RunAsync(async () =>
            {
                reached = await (_state is null
                    ? script.RunAsync(_globals, _ => true, CancellationToken.None)
                    : script.RunFromAsync(_state, _ => true, CancellationToken.None));
                if (CellScope.Current is { } scope)
                    await scope.DisposeAsync();
                return reached.Exception is not null ? Failed(reached.Exception, cell, token)
                    : reached.ReturnValue is null or DisplayHandle ? CellResult.Nothing
                    : new(Formatter.Bundle(reached.ReturnValue), null);
            });
        }
        finally
        {
            // What the cell has declared is there even when its value could not be shown.
            if (reached is not null)
                _state = reached;
        }
    }

    /// <summary>What the next submission is bound with, as long as no cell has run and no magic has set anything.</summary>
    private sealed record DraftCompilation(ScriptState<object>? After, int Pending, Compilation Compilation);

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
