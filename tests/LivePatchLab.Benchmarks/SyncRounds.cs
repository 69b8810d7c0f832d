using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>How fast the lab simulates synchronisations: text_poke_bp on every site of the cloud kernel, three rounds a site.</summary>
internal static class SyncRounds
{
    public static Benchmark Benchmark { get; } = new("syncs", "run_sync alone, a million times; and inside text_poke_bp over all 35,051 sites, with its pokes and its hash of the machine; CPUs idle; best of some, warm", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("idle CPUs", "rounds", "ms", "M rounds/s", "M IPIs/s");
        foreach (var cpus in (int[])[4, 64])
        {
            const int Rounds = 1_000_000;
            var seconds = Alone(cpus, Rounds);
            table.Add($"{cpus}, run_sync alone", Rounds, seconds * 1e3, Rounds / seconds / 1e6, Rounds / seconds / 1e6 * (cpus - 1));
        }

        foreach (var cpus in (int[])[2, 4, 16, 64])
        {
            var (run, seconds) = Switches.Best(Protocols.TextPokeBp, cpus, repetitions: cpus > 16 ? 4 : 20);
            table.Add($"{cpus}", run.SyncRounds, seconds * 1e3, run.SyncRounds / seconds / 1e6, run.Ipis / seconds / 1e6);
        }

        return table;
    }

    private static double Alone(int cpus, int rounds)
    {
        using var lab = new LabMachine(new() { Cpus = cpus, Sites = 1, Workload = Workload.Idle });
        var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
        var best = double.MaxValue;
        for (var i = 0; i < 5; i++)
        {
            var before = lab.Kernel.SyncRounds;
            var started = Stopwatch.GetTimestamp();
            lab.Machine.Run(lab.Machine.Cpus[0].Start("rounds", Enumerable.Range(0, rounds).Select(_ => context.RunSync())));
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds);
            if (lab.Kernel.SyncRounds - before != rounds) throw new InvalidOperationException("rounds that were not made are no measurement");
        }

        return best;
    }
}

/// <summary>Whole switches of tracing, on and off in turn.</summary>
internal static class Switches
{
    /// <summary>The fastest of some switches after five that warm up; by the clock around the whole call.</summary>
    public static (PatchRun Run, double Seconds) Best(IPatchProtocol protocol, int cpus, int repetitions)
    {
        using var lab = new LabMachine(new() { Cpus = cpus, Workload = Workload.Idle });
        (PatchRun Run, double Seconds) best = (null!, double.MaxValue);
        for (var i = -5; i < repetitions; i++)
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
