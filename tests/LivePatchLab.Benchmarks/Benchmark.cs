namespace LivePatchLab.Benchmarks;

/// <summary>A question of speed, and how it is answered.</summary>
/// <param name="Name">As the command line knows it.</param>
/// <param name="Question">What is measured, and how.</param>
/// <param name="Measure">Measures.</param>
internal sealed record Benchmark(string Name, string Question, Func<ResultTable> Measure)
{
    public static IReadOnlyList<Benchmark> All { get; } =
    [
        GuestSpeed.Benchmark, SyncRounds.Benchmark, FullSwitch.Benchmark, TracerCycles.Benchmark, ImageLoading.Benchmark, QuantumSweep.Benchmark, PatchedText.Benchmark, RunningWorkload.Benchmark, BusyNotebooks.Benchmark, InterruptLatency.Benchmark,
        ExplorationSpeed.Benchmark,
    ];
}
