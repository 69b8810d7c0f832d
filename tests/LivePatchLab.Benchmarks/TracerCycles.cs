using LivePatchLab.Experiments;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>The benchmark of the seed's mail, simulated end to end on one machine a protocol: how long it takes here, beside what it took there.</summary>
internal static class TracerCycles
{
    public static Benchmark Benchmark { get; } = new("tracers", $"7 tracers, 25,000 sites, 4 CPUs idle but for the tracing, {SevenTracers.SwitchesPerCycle} switches of all sites a cycle; {SevenTracers.CyclesOfTheMail} cycles, or --cycles N of them", Measure);

    /// <summary>How many cycles; fewer than the mail's are for trying out.</summary>
    public static int Cycles { get; set; } = SevenTracers.CyclesOfTheMail;

    private static ResultTable Measure()
    {
        var table = new ResultTable("protocol", "host s", "host ms a switch", "the mail, s", "times faster", "simulated s", "switches", "rounds", "IPIs", "bytes written");
        foreach (var protocol in (IPatchProtocol[])[Protocols.Ftrace2012, Protocols.TextPokeBp, Protocols.TextPokeBpList])
        {
            using var lab = new LabMachine(new() { Cpus = 4, Sites = SevenTracers.SitesAssumed, Costs = CostPreset.Seed2013, Workload = Workload.Idle });
            var run = SevenTracers.Run(lab, protocol, Cycles);

            // Part of the cycles is compared with the same part of the mail's time.
            var mail = SevenTracers.RealTimeOfTheMail(protocol)?.TotalSeconds * Cycles / SevenTracers.CyclesOfTheMail;
            table.Add(protocol.Name, run.HostSeconds, run.HostSeconds / run.Switches * 1e3, mail, mail / run.HostSeconds, run.SimulatedSeconds, run.Switches, run.SyncRounds, run.Ipis, run.BytesWritten);
            table.Note($"{protocol.Name}: state hash {run.StateHash} in the end");
        }

        table.Note("one host thread, cold start included; simulated s is what the patcher spends, the mail's real time has the shell and the sleeping between the switches as well");
        if (Cycles != SevenTracers.CyclesOfTheMail) table.Note($"{Cycles} of the mail's {SevenTracers.CyclesOfTheMail} cycles; the mail's time is scaled to them");
        return table;
    }
}
