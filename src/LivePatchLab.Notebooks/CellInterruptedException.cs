namespace LivePatchLab.Notebooks;

/// <summary>Work was interrupted and has something to say about what is left of it, in one line.</summary>
public sealed class CellInterruptedException(string message) : OperationCanceledException(message);
