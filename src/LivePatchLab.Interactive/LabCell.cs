using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>What the lab's other hosts let a C# cell call without a name before it. The host has a <c>display</c> of its own, whose handle replaces nothing.</summary>
public static class LabCell
{
    /// <summary>Fires when the user cancels the cell.</summary>
    public static CancellationToken cancellation => LabExtension.CurrentCell()?.Cancellation ?? CancellationToken.None;

    /// <summary>Shows a value under the cell, now. The handle replaces it: <c>handle.Update(next)</c>.</summary>
    public static DisplayHandle display(object? value)
        => new(LabExtension.CurrentCell() is { } cell ? HostOutput.Of(cell).Display(Formatter.Bundle(value)) : _ => { });

    /// <summary>Says how far a long work is.</summary>
    public static void progress(long done, long total, string text)
    {
        if (LabExtension.CurrentCell() is { } cell)
            HostOutput.Of(cell).Report(new(done, total, text));
    }
}
