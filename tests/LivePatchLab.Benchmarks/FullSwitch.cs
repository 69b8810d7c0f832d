using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>One switch of every site of the cloud kernel by each protocol.</summary>
internal static class FullSwitch
{
    public static Benchmark Benchmark { get; } = new("switch", "all 35,051 sites of the cloud kernel, 4 idle CPUs; host time of one warm switch, best of twenty", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("protocol", "host ms", "of it patching", "syncs", "simulated ms");
        foreach (var protocol in Protocols.All.Except(Protocols.Peers))
        {
            var (run, seconds) = Switches.Best(protocol, cpus: 4, repetitions: 20);
            table.Add(protocol.Name, seconds * 1e3, run.HostSeconds * 1e3, run.SyncRounds, run.SimulatedSeconds * 1e3);
        }

        table.Note("host ms is the whole call: list of sites, patching, check of the text, state hash");
        return table;
    }
}
