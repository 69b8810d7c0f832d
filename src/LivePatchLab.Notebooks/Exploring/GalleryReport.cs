using LivePatchLab.Exploration;

namespace LivePatchLab.Notebooks;

/// <summary>One bug of the gallery, searched for.</summary>
/// <param name="Bug">Which.</param>
/// <param name="Broken">What the search found; null where the lab has no scenario for the bug.</param>
/// <param name="Mended">What it found in the mended code, with the bug as its control; null likewise.</param>
public sealed record BugReport(HistoricalBug Bug, ExplorationResult? Broken, ExplorationResult? Mended);

/// <summary>Historical bugs, each searched for with and without its fix. Shown as a table whose rows unfold to the run that shows the bug.</summary>
public sealed class GalleryReport
{
    private GalleryReport(IReadOnlyList<BugReport> bugs) => Bugs = bugs;

    /// <summary>In the order in which they were given.</summary>
    public IReadOnlyList<BugReport> Bugs { get; }

    /// <summary>Searches for all of them, on all processors. What comes out does not hang on how many there are.</summary>
    /// <param name="bugs">Which; <see cref="BugGallery.All"/> for all.</param>
    /// <param name="strategy">How they are searched for; depth first where nothing is said.</param>
    /// <exception cref="OperationCanceledException">The cell was interrupted.</exception>
    public static GalleryReport Of(IEnumerable<HistoricalBug> bugs, IStrategy? strategy = null)
    {
        var scope = CellScope.Current;
        var cancellation = scope?.Cancellation ?? CancellationToken.None;
        var all = bugs.ToArray();
        var reports = new BugReport[all.Length];
        Parallel.For(0, all.Length, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation }, i =>
        {
            var (broken, mended) = all[i].Missing is null ? all[i].Explore(strategy, cancellation) : ((ExplorationResult?)null, (ExplorationResult?)null);
            reports[i] = new(all[i], broken, mended);
        });
        return new(reports);
    }
}
