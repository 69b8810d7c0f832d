using System.Text.Json;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.CSharp;
using Microsoft.DotNet.Interactive.Directives;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

/// <summary>The root: takes cells apart, binds their directive lines, and has the C# kernel run the rest.</summary>
public sealed class CompositeKernel : Kernel
{
    private static readonly JsonSerializerOptions Binding = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, PropertyNameCaseInsensitive = true };

    // As in the product: by the type of the command, so of two directives with one type the handler of the last serves both.
    private readonly Dictionary<Type, Func<KernelCommand, KernelInvocationContext, Task>> _handlers = [];
    private readonly Dictionary<string, Type> _types = new(StringComparer.Ordinal);

    public CompositeKernel() : base(".NET")
    {
        CSharp = new CSharpKernel { ParentKernel = this };
        ChildKernels = [CSharp];
    }

    public IReadOnlyList<Kernel> ChildKernels { get; }

    internal CSharpKernel CSharp { get; }

    internal List<KernelEvent> Events { get; } = [];

    internal void Add(KernelActionDirective directive, Type commandType, Func<KernelCommand, KernelInvocationContext, Task> handler)
    {
        if (!_types.TryAdd(directive.Name, commandType))
            throw new ArgumentException($"An item with the same key has already been added. Key: {directive.Name}");
        KernelInfo.Directives.Add(directive);
        _handlers[commandType] = handler;
    }

    internal async Task<KernelCommandResult> SendAsync(SubmitCode cell, CancellationToken cancellation = default)
    {
        var outer = KernelInvocationContext.Current;
        var first = Events.Count;
        var context = outer ?? new KernelInvocationContext(cell, CSharp, Events.Add, cancellation);
        KernelInvocationContext.Current = context;
        cell.Parent = outer?.Command;
        try
        {
            var running = RunAsync(cell, context);
            if (outer is null && await Task.WhenAny(running, Task.Delay(Timeout.Infinite, cancellation)) != running)
                context.Fail(cell, message: "Command cancelled.");
            else
                await running;
        }
        catch (Exception failure)
        {
            context.Fail(cell, failure);
        }
        finally
        {
            KernelInvocationContext.Current = outer;
            if (outer is null)
                context.IsComplete = true;
        }
        KernelEvent end = context.FailureOf(cell) is { } failed ? failed : new CommandSucceeded();
        return new([.. Events.Skip(first), end]);
    }

    private async Task RunAsync(SubmitCode cell, KernelInvocationContext context)
    {
        // The cell is bound as a whole before any of it runs.
        foreach (var part in Parts(cell).ToArray())
        {
            if (context.FailureOf(cell) is not null)
                return;
            if (part is SubmitCode code)
                await CSharp.HandleAsync(code, context);
            else
                await _handlers[part.GetType()](part, context);
        }
    }

    private IEnumerable<KernelCommand> Parts(SubmitCode cell)
    {
        var code = new List<string>();
        foreach (var line in cell.Code.ReplaceLineEndings("\n").Split('\n').Append("#!csharp"))
        {
            if (!line.StartsWith("#!", StringComparison.Ordinal))
            {
                code.Add(line);
                continue;
            }
            if (code.Any(each => !string.IsNullOrWhiteSpace(each)))
                yield return new SubmitCode(string.Join('\n', code)) { IsPart = true, Parent = cell };
            code.Clear();
            if (line.TrimEnd() != "#!csharp")
                yield return Bind(line, cell);
        }
    }

    private KernelCommand Bind(string line, SubmitCode cell)
    {
        var name = line.Split((char[]?)null, 2)[0];
        if (!_types.TryGetValue(name, out var type))
            throw new DirectiveException($"(1,1): error DNI101: Unknown magic command '{name}'.");
        var arguments = DirectiveArguments.Bind(line, KernelInfo.Directives.Single(each => each.Name == name), reference => CSharp.TryGetValue<object>(reference, out var value) ? value : null);
        arguments["invokedDirective"] = name;
        arguments["targetKernelName"] = Name;
        var bound = (KernelCommand)arguments.Deserialize(type, Binding)!;
        (bound.Parent, bound.IsPart) = (cell, true);
        return bound;
    }
}

/// <summary>The product's errors DNI1xx.</summary>
internal sealed class DirectiveException(string message) : Exception(message)
{
    public override string ToString() => Message;
}
