using System.Text.Json.Nodes;

namespace LivePatchLab.Experiments;

/// <summary>How far a sweep is.</summary>
/// <param name="Done">Runs finished.</param>
/// <param name="Total">Runs in all.</param>
/// <param name="Elapsed">Since the start, here.</param>
public readonly record struct SweepProgress(int Done, int Total, TimeSpan Elapsed);

/// <summary>The results of a sweep, in the order of its specification.</summary>
public sealed record SweepResult(SweepSpec Spec, IReadOnlyList<PatchRun> Runs)
{
    /// <summary>The same text for equal sweeps, however many host threads ran them.</summary>
    public JsonArray ToJson() => new([.. Runs.Select(r => r.ToJson(withHostSeconds: false))]);

    public override string ToString() => string.Join('\n', Runs);
}

/// <summary>Runs sweeps on the host's cores. Each run has a machine and a seed of its own, so the results do not depend on who runs when.</summary>
public static class Sweep
{
    /// <param name="spec">What to run.</param>
    /// <param name="parallelism">Host threads; null for one a core.</param>
    /// <param name="progress">Told after every run, one call at a time.</param>
    /// <param name="cancellation">Ends the sweep; nothing of it is returned.</param>
    public static SweepResult Run(SweepSpec spec, int? parallelism = null, Action<SweepProgress>? progress = null, CancellationToken cancellation = default)
    {
        var points = spec.Points();
        var runs = new PatchRun[points.Count];
        var started = System.Diagnostics.Stopwatch.StartNew();
        var done = 0;
        var gate = new Lock();
        var options = new ParallelOptions { MaxDegreeOfParallelism = parallelism ?? Environment.ProcessorCount, CancellationToken = cancellation };

        // The largest runs first, so that no core is left alone with one at the end.
        var order = Enumerable.Range(0, points.Count).OrderByDescending(i => Weight(points[i])).ToArray();
        Parallel.ForEach(System.Collections.Concurrent.Partitioner.Create(order, System.Collections.Concurrent.EnumerablePartitionerOptions.NoBuffering), options, i =>
        {
            runs[i] = points[i].Run(cancellation);
            lock (gate) progress?.Invoke(new(++done, points.Count, started.Elapsed));
        });
        return new(spec, runs);
    }

    private static double Weight(SweepPoint point) => (double)(point.Machine.Sites ?? 1) * (point.Machine.Cpus + 10);
}
