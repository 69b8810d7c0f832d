using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Scripting;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive.CSharp;

/// <summary>
/// C# submissions by Roslyn's scripting, kept as the product keeps them: the state is replaced when a submission has ended, so what a submission within it has
/// declared is lost, and references are added by path and load where Roslyn puts them.
/// </summary>
public sealed class CSharpKernel : Kernel
{
    private ScriptOptions _options = ScriptOptions.Default
        .AddImports("System", "System.Text", "System.Collections", "System.Collections.Generic", "System.Threading.Tasks", "System.Linq")
        .AddReferences(typeof(Enumerable).Assembly, typeof(Kernel).Assembly, typeof(Formatting.Formatter).Assembly, typeof(System.Text.Json.JsonElement).Assembly);

    private ScriptState<object>? _state;

    public CSharpKernel() : base("csharp") => DeferCommand(new SubmitCode($"using static {typeof(Kernel).FullName};"));

    public void AddAssemblyReferences(IEnumerable<string> assemblyPaths)
        => _options = _options.AddReferences(assemblyPaths.Select(path => MetadataReference.CreateFromFile(path)).ToArray());

    public bool TryGetValue<T>(string name, out T value)
    {
        var variable = _state?.Variables.LastOrDefault(each => each.Name == name);
        value = variable is null ? default! : (T)variable.Value;
        return variable is not null;
    }

    public async Task SetValueAsync(string name, object? value, Type declaredType)
    {
        await RunAsync($"{declaredType.FullName!.Replace('+', '.')} {name} = default;");
        _state!.GetVariable(name).Value = value;
    }

    internal IReadOnlyCollection<string> VariableNames => [.. _state?.Variables.Select(variable => variable.Name) ?? []];

    internal async Task HandleAsync(SubmitCode command, KernelInvocationContext context)
    {
        while (Deferred.TryDequeue(out var deferred))
            await RunAsync(((SubmitCode)deferred).Code);
        var console = Console.Out;
        using var text = new StringWriter();
        Console.SetOut(text);
        try
        {
            await RunAsync(command.Code);
        }
        catch (CompilationErrorException wrong)
        {
            context.Fail(command, wrong, string.Join('\n', wrong.Diagnostics));
            return;
        }
        catch (Exception failure)
        {
            context.Fail(command, failure);
            return;
        }
        finally
        {
            Console.SetOut(console);
            if (text.GetStringBuilder().Length > 0)
                context.Publish(new StandardOutputValueProduced(text.ToString()));
        }
        if (_state?.ReturnValue is { } value and not DisplayedValue)
            context.Publish(new ReturnValueProduced(value, Forms.Of(value, Forms.Types(value, []))));
    }

    private async Task RunAsync(string code)
        => _state = _state is null ? await CSharpScript.RunAsync(code, _options) : await _state.ContinueWithAsync(code, _options);
}
