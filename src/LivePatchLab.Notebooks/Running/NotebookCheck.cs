namespace LivePatchLab.Notebooks;

/// <summary>Whether a notebook shows again what it was saved with.</summary>
/// <param name="IsExecuted">False when it was saved without outputs; then it was not run.</param>
/// <param name="CellsRun">Code cells that were run.</param>
/// <param name="Drifts">The cells that show something else.</param>
/// <param name="Failure">Why the run stopped; null when it came to its end. Cells that were not run do not count as drifted.</param>
public sealed record NotebookCheckResult(bool IsExecuted, int CellsRun, IReadOnlyList<CellDrift> Drifts, CellFailure? Failure)
{
    public bool IsSame => IsExecuted && Failure is null && Drifts.Count == 0;
}

/// <summary>Runs a notebook in memory and compares what it shows with what its file holds. Nothing is written.</summary>
public static class NotebookCheck
{
    /// <exception cref="BadNotebookException">The file is no notebook.</exception>
    public static async Task<NotebookCheckResult> RunAsync(string path, NotebookRunner runner, NotebookRunOptions options, CancellationToken token = default)
    {
        var saved = NotebookDocument.Read(path);
        if (!NotebookComparison.IsExecuted(saved))
            return new(false, 0, [], null);
        var document = NotebookDocument.Parse(saved.ToJson(), path);
        var (cellsRun, failure) = await runner.RunAsync(document, Path.GetDirectoryName(Path.GetFullPath(path))!, options, token);
        return failure is null ? new(true, cellsRun, NotebookComparison.Drifts(saved, document), null) : new(true, cellsRun, [], failure);
    }
}
