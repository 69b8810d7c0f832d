namespace LivePatchLab.Notebooks;

/// <summary>What every C# cell can call without a name before it. Lower case, as in the notebooks that readers already know.</summary>
public sealed class CellGlobals
{
    private readonly Dictionary<string, object?> _fromMagics = new(StringComparer.Ordinal);

    internal CellGlobals() { }

    /// <summary>Fires when the user interrupts the cell; loops that ask it stop in order, others by an exception.</summary>
    public CancellationToken cancellation => CellScope.Current?.Cancellation ?? CancellationToken.None;

    /// <summary>Shows a value under the cell, now. The handle replaces it: <c>handle.Update(next)</c>.</summary>
    public DisplayHandle display(object? value)
        => new(CellScope.Current is { } scope ? scope.Display(Formatter.Bundle(value)) : _ => { });

    /// <summary>Removes what this cell has shown so far; with <paramref name="wait"/>, only when it shows something next, so that nothing flickers.</summary>
    public void clear(bool wait = false) => CellScope.Current?.Clear(wait);

    /// <summary>Asks the reader for a line of text.</summary>
    /// <exception cref="UserErrorException">Nobody can answer: the notebook runs without a reader.</exception>
    public string input(string prompt = "") => CellInput.Ask($"input({Quoted(prompt)})", prompt, secret: false);

    /// <summary>As <see cref="input"/>; what is typed stays hidden.</summary>
    public string password(string prompt = "") => CellInput.Ask($"password({Quoted(prompt)})", prompt, secret: true);

    /// <summary>Says how far a long work is.</summary>
    public void progress(long done, long total, string text) => CellScope.Current?.Report(new(done, total, text));

    /// <summary>A value that a magic has set: the first half of the declaration that the session generates for it.</summary>
    [System.ComponentModel.EditorBrowsable(System.ComponentModel.EditorBrowsableState.Never)]
    public object? valueFromMagic(string name) => _fromMagics[name];

    internal void Put(string name, object? value) => _fromMagics[name] = value;

    private static string Quoted(string prompt) => prompt.Length == 0 ? "" : $"\"{prompt}\"";
}
