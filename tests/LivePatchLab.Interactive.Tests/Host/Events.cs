using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive.Events;

public abstract class KernelEvent;

public sealed class CommandSucceeded : KernelEvent;

public sealed class CommandFailed(KernelCommand command, string message) : KernelEvent
{
    public KernelCommand Command { get; } = command;

    public string Message { get; } = message;
}

/// <summary>A value under the cell.</summary>
public abstract class DisplayEvent(object? value, IReadOnlyDictionary<string, string> forms, string? valueId) : KernelEvent
{
    public object? Value { get; } = value;

    /// <summary>MIME type to text; the product has a list of FormattedValue.</summary>
    public IReadOnlyDictionary<string, string> Forms { get; } = forms;

    public string? ValueId { get; } = valueId;
}

public sealed class DisplayedValueProduced(object? value, IReadOnlyDictionary<string, string> forms, string valueId) : DisplayEvent(value, forms, valueId);

public sealed class DisplayedValueUpdated(object? value, IReadOnlyDictionary<string, string> forms, string valueId) : DisplayEvent(value, forms, valueId);

public sealed class ReturnValueProduced(object? value, IReadOnlyDictionary<string, string> forms) : DisplayEvent(value, forms, null);

public sealed class StandardOutputValueProduced(string text) : KernelEvent
{
    public string Text { get; } = text;
}
