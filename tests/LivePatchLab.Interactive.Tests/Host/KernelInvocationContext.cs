using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;
using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.DotNet.Interactive;

/// <summary>One for each cell that a user sends; the cells that run within it share it.</summary>
public sealed class KernelInvocationContext(KernelCommand command, Kernel handlingKernel, Action<KernelEvent> sink, CancellationToken cancellation)
{
    private static readonly AsyncLocal<KernelInvocationContext?> Here = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<KernelCommand, CommandFailed> _failures = [];

    public static KernelInvocationContext? Current
    {
        get => Here.Value;
        internal set => Here.Value = value;
    }

    public KernelCommand Command { get; } = command;

    public Kernel HandlingKernel { get; } = handlingKernel;

    public CancellationToken CancellationToken { get; } = cancellation;

    public bool IsComplete { get; internal set; }

    public void Publish(KernelEvent happened)
    {
        lock (_lock)
        {
            if (!IsComplete)
                sink(happened);
        }
    }

    /// <summary>With a message, that is all the user sees; without one, the exception with its stack.</summary>
    public void Fail(KernelCommand failed, Exception? exception = null, string? message = null)
    {
        while (failed is { IsPart: true, Parent: { } cell })
            failed = cell;
        lock (_lock)
            _failures.TryAdd(failed, new(failed, message ?? exception?.ToString() ?? ""));
    }

    internal CommandFailed? FailureOf(KernelCommand asked)
    {
        lock (_lock)
            return _failures.GetValueOrDefault(asked);
    }
}

public static class KernelInvocationContextExtensions
{
    public static DisplayedValue Display(this KernelInvocationContext context, object value, params string[] mimeTypes)
    {
        var shown = new DisplayedValue(Guid.NewGuid().ToString(), [.. Forms.Types(value, mimeTypes)], context);
        context.Publish(new DisplayedValueProduced(value, Forms.Of(value, shown.MimeTypes), shown.DisplayId));
        return shown;
    }
}

public sealed class DisplayedValue(string displayId, IReadOnlyList<string> mimeTypes, KernelInvocationContext context)
{
    internal string DisplayId { get; } = displayId;

    public IReadOnlyList<string> MimeTypes { get; } = mimeTypes;

    public void Update(object value) => context.Publish(new DisplayedValueUpdated(value, Forms.Of(value, MimeTypes), DisplayId));
}

/// <summary>What the product's own formatting code makes of a value.</summary>
internal static class Forms
{
    public static IEnumerable<string> Types(object? value, string[] mimeTypes)
        => mimeTypes.Length > 0 ? mimeTypes : value is null ? [PlainTextFormatter.MimeType] : Formatter.GetPreferredMimeTypesFor(value.GetType());

    public static Dictionary<string, string> Of(object? value, IEnumerable<string> mimeTypes)
        => mimeTypes.ToDictionary(type => type, type => value.ToDisplayString(type));
}
