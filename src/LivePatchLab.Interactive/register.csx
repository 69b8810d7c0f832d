// Joins the lab to .NET Interactive. extension.dib runs it, nested in its own cell, so none of the names here reach the user's cells; the lab's assemblies are
// referenced by then. All that can be said without the host's types is said in LivePatchLab.Interactive.
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.CSharp;
using Microsoft.DotNet.Interactive.Directives;
using LivePatchLab.Interactive;

// One class for all directives: the host finds a handler by the type of its command.
public class LivePatchLabDirective : KernelDirectiveCommand
{
    public string InvokedDirective { get; set; }

    [System.Text.Json.Serialization.JsonExtensionData]
    public Dictionary<string, System.Text.Json.JsonElement> Arguments { get; set; }
}

public static class LivePatchLabRegistration
{
    public static void Register(Kernel root)
    {
        var csharp = root.FindKernelByName("csharp") as CSharpKernel ?? throw new InvalidOperationException("this host has no C# kernel named csharp");
        LabExtension.CurrentCell = () => KernelInvocationContext.Current is { } context ? CellOf(context) : null;
        RegisterFormatters();
        foreach (var spec in LabExtension.Directives)
        {
            // A directive cannot be taken back, and one that is there already cannot be added again.
            if (root.KernelInfo.SupportedDirectives.Any(there => there.Name == spec.Name)) continue;
            root.AddDirective<LivePatchLabDirective>(DirectiveOf(spec), (command, context) => RunAsync(command, context, csharp));
        }
        // Not run here: a cell that runs within another one loses its usings. The host brings its own into the cells in the same way.
        csharp.DeferCommand(new SubmitCode(LabExtension.Usings, "csharp"));
    }

    static KernelActionDirective DirectiveOf(LabDirective spec)
    {
        var directive = new KernelActionDirective(spec.Name, spec.Help);
        foreach (var parameter in spec.Parameters)
        {
            var added = new KernelDirectiveParameter(parameter.Name, parameter.Help) { Required = parameter.Required, Flag = parameter.Flag, AllowImplicitName = parameter.Positional };
            if (parameter.Values is { } values) added.AddCompletions(values);
            directive.Parameters.Add(added);
        }
        return directive;
    }

    static async Task RunAsync(LivePatchLabDirective command, KernelInvocationContext context, CSharpKernel csharp)
    {
        var problem = await LabExtension.RunAsync(new LabDirectiveCall(
            command.InvokedDirective, command.Arguments, (command.Parent as SubmitCode)?.Code, CellOf(context),
            name => csharp.TryGetValue<object>(name, out var value) ? (true, value) : (false, null), csharp.SetValueAsync));
        if (problem is not null) context.Fail(command, message: problem);
    }

    static HostCell CellOf(KernelInvocationContext context) => new(context, Display(context), context.CancellationToken);

    // The context's own Display, because the handle of the function 'display' replaces nothing.
    static Func<object, Action<object>> Display(KernelInvocationContext context) => first =>
    {
        var shown = context.Display(first);
        return next => shown.Update(next);
    };

    static void RegisterFormatters()
    {
        foreach (var type in LabExtension.ViewedTypes) RegisterFormatters(type, LabExtension.WriteHtml, LabExtension.WritePlain);
        foreach (var type in LabExtension.SilentTypes) RegisterFormatters(type, (_, _) => { }, (_, _) => { });
    }

    static void RegisterFormatters(Type type, Action<object, System.IO.TextWriter> html, Action<object, System.IO.TextWriter> plain)
    {
        Microsoft.DotNet.Interactive.Formatting.Formatter.Register(type, html, "text/html");
        Microsoft.DotNet.Interactive.Formatting.Formatter.Register(type, plain, "text/plain");
        Microsoft.DotNet.Interactive.Formatting.Formatter.SetPreferredMimeTypesFor(type, "text/html", "text/plain");
    }
}

LivePatchLabRegistration.Register(KernelInvocationContext.Current.HandlingKernel.RootKernel);
