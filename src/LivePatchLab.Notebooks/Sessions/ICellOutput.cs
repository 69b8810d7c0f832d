namespace LivePatchLab.Notebooks;

/// <summary>Where a running cell puts what it shows. Each host has one: a document, a Jupyter socket, .NET Interactive's context.</summary>
public interface ICellOutput
{
    /// <param name="stream">"stdout" or "stderr".</param>
    /// <param name="text">As it was written, with its line ends.</param>
    void Write(string stream, string text);

    /// <summary>Shows something now; what is returned replaces it in place.</summary>
    Action<MimeBundle> Display(MimeBundle bundle);

    /// <summary>Text of a thread that the cell has left running, written when the cell has ended. A host that has no place for it by then drops it.</summary>
    void WriteLate(string stream, string text) { }

    /// <summary>The same for something displayed; it cannot be replaced any more.</summary>
    void DisplayLate(MimeBundle bundle) { }

    /// <summary>How far a long work is. Hosts show it while it lasts and keep nothing of it.</summary>
    void Report(Progress progress);

    /// <summary>Removes what the cell has shown so far; with <paramref name="wait"/>, only when it shows something next, so that nothing flickers.</summary>
    void Clear(bool wait) { }

    /// <summary>Asks the reader for a line and waits for it; null where nobody can answer.</summary>
    /// <param name="prompt">What stands before the place to type at; may be empty.</param>
    /// <param name="secret">Whether what is typed stays hidden.</param>
    /// <exception cref="OperationCanceledException">The cell was interrupted meanwhile.</exception>
    string? Ask(string prompt, bool secret) => null;
}

/// <summary>The variables that magics and C# cells share.</summary>
public interface ISessionVariables
{
    void Set(string name, object? value, Type type);

    bool TryGet(string name, out object? value);
}

/// <summary>Something displayed; <see cref="Update"/> puts another value in its place, from a later cell too.</summary>
public sealed class DisplayHandle(Action<MimeBundle> replace)
{
    public void Update(object? value) => replace(Formatter.Bundle(value));
}
