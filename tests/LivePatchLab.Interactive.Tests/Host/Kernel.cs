using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Directives;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

public sealed class KernelInfo
{
    internal List<KernelDirective> Directives { get; } = [];

    public IReadOnlyCollection<KernelDirective> SupportedDirectives => Directives;
}

public sealed record KernelCommandResult(IReadOnlyList<KernelEvent> Events);

public abstract class Kernel(string name)
{
    private protected Queue<KernelCommand> Deferred { get; } = new();

    public string Name { get; } = name;

    public KernelInfo KernelInfo { get; } = new();

    public CompositeKernel? ParentKernel { get; internal set; }

    public Kernel RootKernel => ParentKernel ?? this;

    public static Kernel? Current => KernelInvocationContext.Current?.HandlingKernel;

    public static Kernel? Root => Current?.RootKernel;

    /// <summary>As in the product: what it gives back bears another identity than what is shown, so its Update replaces nothing.</summary>
    public static DisplayedValue display(object value, params string[] mimeTypes)
    {
        KernelInvocationContext.Current!.Display(value, mimeTypes);
        return new DisplayedValue(Guid.NewGuid().ToString(), [.. Forms.Types(value, mimeTypes)], KernelInvocationContext.Current!);
    }

    /// <summary>The command runs before the next one that this kernel is sent.</summary>
    public void DeferCommand(KernelCommand command) => Deferred.Enqueue(command);

    public Task<KernelCommandResult> SendAsync(KernelCommand command) => ((CompositeKernel)RootKernel).SendAsync((SubmitCode)command);

    public void AddDirective<TCommand>(KernelActionDirective directive, Func<TCommand, KernelInvocationContext, Task> handler) where TCommand : KernelCommand
        => ((CompositeKernel)this).Add(directive, typeof(TCommand), (command, context) => handler((TCommand)command, context));
}

public static class KernelExtensions
{
    public static Kernel? FindKernelByName(this Kernel kernel, string name)
        => kernel.Name == name ? kernel : (kernel as CompositeKernel)?.ChildKernels.FirstOrDefault(child => child.Name == name);
}
