using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>How fast the lab simulates synchronisations: text_poke_bp on every site of the cloud kernel, three rounds a site.</summary>
internal static class SyncRounds
{
    public static Benchmark Benchmark { get; } = new("syncs", "text_poke_bp over all 35,051 sites and back, CPUs idle; best of five warm switches", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("idle CPUs", "rounds", "ms", "M rounds/s", "M IPIs/s");
        foreach (var cpus in (int[])[2, 4, 16, 64])
        {
            var (run, seconds) = Switches.Best(Protocols.TextPokeBp, cpus, repetitions: cpus > 16 ? 2 : 5);
            table.Add($"{cpus}", run.SyncRounds, seconds * 1e3, run.SyncRounds / seconds / 1e6, run.Ipis / seconds / 1e6);
        }

        return table;
    }
}

/// <summary>Whole switches of tracing, on and off in turn.</summary>
internal static class Switches
{
    /// <summary>The fastest of some switches after two that warm up; by the clock around the whole call.</summary>
    public static (PatchRun Run, double Seconds) Best(IPatchProtocol protocol, int cpus, int repetitions)
    {
        using var lab = new LabMachine(new() { Cpus = cpus, Workload = Workload.Idle });
        (PatchRun Run, double Seconds) best = (null!, double.MaxValue);
        for (var i = -2; i < repetitions; i++)
        {
            var started = Stopwatch.GetTimestamp();
            var run = lab.Switch(protocol, enable: i % 2 == 0);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            if (!run.IsGood) throw new InvalidOperationException($"a switch that went wrong is no measurement: {run}");
            if (i >= 0 && seconds < best.Seconds) best = (run, seconds);
        }

        return best;
    }
}
