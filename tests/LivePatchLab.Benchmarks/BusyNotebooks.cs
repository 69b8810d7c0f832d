using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>The switches of notebooks 02 and 03, with all CPUs busy in traced functions: what a reader waits for.</summary>
internal static class BusyNotebooks
{
    private const int Repetitions = 3;

    public static Benchmark Benchmark { get; } = new(
        "busy", $"host seconds of switching all sites on, as in notebooks 02 and 03 but with all CPUs running through traced functions; best of {Repetitions}, interleaved", Measure);

    private static ResultTable Measure()
    {
        var engines = EngineChoice.All;
        string[] faster = [.. engines.Skip(1).Select(EngineChoice.NameOf)];
        var table = new ResultTable(["notebook, protocol, sites, CPUs", "M instructions", .. engines.Select(EngineChoice.NameOf), .. faster.Select(name => $"interpreter / {name}")]);
        foreach (var cpus in (int[])[2, 4, 8])
            foreach (var protocol in (IPatchProtocol[])[Protocols.StopMachine, Protocols.Ftrace2012, Protocols.TextPokeBp, Protocols.TextPokeBpList])
                AddRow(table, $"02, {protocol.Name}, 500, {cpus}", protocol, new() { Cpus = cpus, Sites = 500, Workload = Workload.Running });
        foreach (var protocol in (IPatchProtocol[])[Protocols.Ftrace2012, Protocols.TextPokeBp, Protocols.TextPokeBpList])
            AddRow(table, $"03, {protocol.Name}, 25,000, 4", protocol, new() { Cpus = 4, Sites = 25_000, Workload = Workload.Running, Costs = CostPreset.Seed2013 });
        return table;
    }

    private static void AddRow(ResultTable table, string name, IPatchProtocol protocol, LabMachineOptions options)
    {
        var engines = EngineChoice.All;
        var best = engines.ToDictionary(engine => engine, _ => double.MaxValue);
        var (instructions, hash) = (0L, default(StateHash));
        for (var i = 0; i < Repetitions; i++)
        {
            foreach (var engine in engines)
            {
                using var lab = new LabMachine(options with { Engine = engine });
                var started = Stopwatch.GetTimestamp();
                var run = lab.Switch(protocol, enable: true);
                best[engine] = Math.Min(best[engine], Stopwatch.GetElapsedTime(started).TotalSeconds);
                if (!run.IsGood || (hash != default && run.StateHash != hash)) throw new InvalidOperationException($"{name} by the {EngineChoice.NameOf(engine)} ended otherwise: {run}");
                (hash, instructions) = (run.StateHash, lab.Machine.Cpus.Sum(cpu => cpu.RetiredInstructions));
            }
        }

        table.Add(name, [instructions / 1e6, .. engines.Select(engine => (double?)best[engine]), .. engines.Skip(1).Select(engine => (double?)(best[engines[0]] / best[engine]))]);
    }
}
