using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;

namespace LivePatchLab.Experiments;

/// <summary>How far a sweep is.</summary>
/// <param name="Done">Runs finished.</param>
/// <param name="Total">Runs in all.</param>
public readonly record struct SweepProgress(int Done, int Total);

/// <summary>The results of a sweep, in the order of its specification; of one that was interrupted, those runs that were finished.</summary>
public sealed record SweepResult(SweepSpec Spec, IReadOnlyList<PatchRun> Runs)
{
    /// <summary>False for what an interrupted sweep has left.</summary>
    public bool IsComplete => Runs.Count == Spec.RunCount;

    /// <summary>"interrupted after 120 of 400 runs"; null when all are there.</summary>
    public string? Interruption => IsComplete ? null : string.Create(CultureInfo.InvariantCulture, $"interrupted after {Runs.Count:N0} of {Spec.RunCount:N0} runs");

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
    /// <param name="cancellation">Ends the sweep early; the runs that are finished by then are returned, and <see cref="SweepResult.IsComplete"/> is false.</param>
    /// <exception cref="OperationCanceledException">It was cancelled before any run was finished.</exception>
    public static SweepResult Run(SweepSpec spec, int? parallelism = null, Action<SweepProgress>? progress = null, CancellationToken cancellation = default)
    {
        var points = spec.Points();
        var runs = new PatchRun?[points.Count];
        var done = 0;
        var gate = new Lock();
        var options = new ParallelOptions { MaxDegreeOfParallelism = parallelism ?? Environment.ProcessorCount, CancellationToken = cancellation };

        // The largest runs first, so that no core is left alone with one at the end.
        var order = Enumerable.Range(0, points.Count).OrderByDescending(i => Weight(points[i])).ToArray();
        try
        {
            Parallel.ForEach(Partitioner.Create(order, EnumerablePartitionerOptions.NoBuffering), options, i =>
            {
                runs[i] = points[i].Run(cancellation);
                lock (gate) progress?.Invoke(new(++done, points.Count));
            });
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested && runs.Any(run => run is not null))
        {
            // What is finished took its time, and it is as good as if the others had been finished too.
        }
        return new(spec, [.. runs.OfType<PatchRun>()]);
    }

    private static double Weight(SweepPoint point) => (double)(point.Machine.Sites ?? 1) * (point.Machine.Cpus + 10);
}
