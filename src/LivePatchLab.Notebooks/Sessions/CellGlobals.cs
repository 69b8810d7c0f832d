namespace LivePatchLab.Notebooks;

/// <summary>What every C# cell can call without a name before it. Lower case, as in the notebooks that readers already know.</summary>
public sealed class CellGlobals
{
    private readonly Dictionary<string, object?> _fromMagics = new(StringComparer.Ordinal);

    internal CellGlobals() { }

    /// <summary>Fires when the user interrupts the cell; loops that ask it stop in order, others are aborted.</summary>
    public CancellationToken cancellation => CellScope.Current?.Cancellation ?? CancellationToken.None;

    /// <summary>Shows a value under the cell, now. The handle replaces it: <c>handle.Update(next)</c>.</summary>
    public DisplayHandle display(object? value)
        => new(CellScope.Current is { } scope ? scope.Display(Formatter.Bundle(value)) : _ => { });

    /// <summary>Says how far a long work is.</summary>
    public void progress(long done, long total, string text) => CellScope.Current?.Report(new(done, total, text));

    /// <summary>A value that a magic has set: the first half of the declaration that the session generates for it.</summary>
    [System.ComponentModel.EditorBrowsable(System.ComponentModel.EditorBrowsableState.Never)]
    public object? valueFromMagic(string name) => _fromMagics[name];

    internal void Put(string name, object? value) => _fromMagics[name] = value;
}
