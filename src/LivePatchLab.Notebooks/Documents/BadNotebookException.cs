namespace LivePatchLab.Notebooks;

/// <summary>A file that is no notebook we can read. The message is what the user sees: the file, where in it, and what is wrong.</summary>
public sealed class BadNotebookException(string message, Exception? inner = null) : Exception(message, inner);
