using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class PatchRecordingTests
{
    private static readonly PatchPlan Plan = Patch.All().With(Protocols.TextPokeBpList);

    [Fact]
    public void Recording_does_not_change_the_run()
    {
        foreach (var workload in Enum.GetValues<Workload>())
        {
            using var watched = Lab(4, 10, workload);
            using var alone = Lab(4, 10, workload);
            Plan.Record(watched).Run.StateHash.ShouldBe(Plan.Run(alone).StateHash, $"{workload}");
        }
    }

    [Fact]
    public void It_holds_every_ipi_every_handler_and_the_phases_of_the_run()
    {
        using var lab = Lab(4, 10, Workload.Running);
        var recording = Plan.Record(lab);
        var run = recording.Run;
        recording.Ipis.Count.ShouldBe((int)run.Ipis);
        recording.Ipis.ShouldAllBe(ipi => ipi.From == new CpuId(0) && ipi.To != new CpuId(0) && ipi.TakenCycles > ipi.SentCycles);
        recording.Ipis.ShouldAllBe(ipi => recording.Spans.Any(span => span.Kind == SpanKind.Interrupt && span.Cpu == ipi.To && span.StartCycles == ipi.TakenCycles));
        recording.Spans.Count(span => span.Kind == SpanKind.Interrupt).ShouldBe((int)run.Ipis);
        recording.Spans.Count(span => span.Kind == SpanKind.Trap).ShouldBe((int)run.Int3Hits);
        recording.Spans.Count(span => span.Kind == SpanKind.Sync).ShouldBe((int)run.SyncRounds);
        recording.Phases.Select(phase => phase.Name).ShouldBe(run.Phases.Where(phase => phase.Name.Length > 0).Select(phase => phase.Name));
        recording.Phases.Zip(run.Phases.Where(phase => phase.Name.Length > 0)).ShouldAllBe(pair => pair.First.EndCycles - pair.First.StartCycles == pair.Second.DurationCycles);
        recording.LeftOut.ShouldBe(0);
    }

    [Fact]
    public void Handlers_take_the_cycles_that_the_account_says()
    {
        using var lab = Lab(4, 10, Workload.Running);
        var recording = Plan.Record(lab);
        for (var cpu = 0; cpu < 4; cpu++)
        {
            recording.Spans.Where(span => span.Cpu.Index == cpu && span.Kind is SpanKind.Interrupt or SpanKind.Trap && span.Cpu.Index == cpu).Sum(span => span.Cycles)
                .ShouldBe(recording.Run.Phases.Sum(phase => phase.Cpus[cpu].HandlerCycles), $"CPU {cpu}");
        }
    }

    [Fact]
    public void Spans_of_one_kind_on_one_cpu_do_not_overlap_and_none_goes_backwards()
    {
        using var lab = Lab(8, 20, Workload.Loaded);
        foreach (var lane in Patch.All().With(Protocols.TextPokeBp).Record(lab).Spans.GroupBy(span => (span.Cpu, span.Kind)))
        {
            lane.ShouldAllBe(span => span.EndCycles > span.StartCycles);
            var ordered = lane.OrderBy(span => span.StartCycles).ToArray();
            ordered.Zip(ordered.Skip(1)).ShouldAllBe(pair => pair.First.EndCycles <= pair.Second.StartCycles);
        }
    }

    [Fact]
    public void The_stalls_of_a_synchronisation_are_one_of_the_sender_and_one_of_each_target()
    {
        using var lab = Lab(4, 10, Workload.Idle);
        var recording = Plan.Record(lab);
        recording.Stalls.Series.Where(series => series.Kind == StallKind.Sender).Sum(series => series.Count).ShouldBe(recording.Run.SyncRounds);
        recording.Stalls.Series.Where(series => series.Kind == StallKind.Target).Sum(series => series.Count).ShouldBe(recording.Run.Ipis);
        recording.Stalls.Series.ShouldAllBe(series => series.Quantile(0) <= series.Quantile(0.5) && series.Quantile(0.5) <= series.Quantile(1) && series.Quantile(0) > 0);
    }

    [Fact]
    public void Quantiles_count_each_stall()
    {
        var series = new StallSeries("", StallKind.Target, new Dictionary<long, long> { [10] = 98, [20] = 1, [3000] = 1 });
        (series.Count, series.Quantile(0), series.Quantile(0.5), series.Quantile(0.99), series.Quantile(1)).ShouldBe((100, 10, 10, 20, 3000));
    }

    [Fact]
    public void The_bytes_of_the_site_are_followed_with_who_wrote_them()
    {
        using var lab = Lab(2, 3, Workload.Running);
        var versions = Plan.Record(lab, site: 1).SiteBytes.Versions;
        versions.Select(version => version.Bytes[..2]).ShouldBe(["0f", "cc", "cc", "e8"]);
        versions.Select(version => version.Writer).ShouldBe([null, new CpuId(0), new CpuId(0), new CpuId(0)]);
        versions.Select(version => version.StartCycles).ShouldBe(versions.Select(version => version.StartCycles).Order());
    }

    [Fact]
    public void A_trace_has_the_same_versions_and_what_was_executed_meanwhile()
    {
        using var lab = Lab(2, 1, Workload.Idle);
        SiteLoop.Start(lab, cpu: 1);
        var trace = Plan.Trace(lab);
        trace.SiteBytes.Versions.Select(version => version.Bytes).ShouldBe(trace.SiteHistory);
        trace.SiteBytes.Versions.Sum(version => version.Fetches.Sum(fetch => fetch.Count)).ShouldBe(trace.Rows.Sum(row => row.Cells.Count(cell => cell?.Kind == TraceCellKind.SiteInstruction)));
        trace.SiteBytes.Versions[^1].Fetches.ShouldContain(fetch => fetch.Cpu == new CpuId(1) && fetch.Bytes.StartsWith("e8"));
    }

    [Fact]
    public void A_window_holds_what_overlaps_it_and_one_that_is_none_is_refused()
    {
        using var lab = Lab(4, 10, Workload.Running);
        var recording = Plan.Record(lab);
        var half = recording.Run.SimulatedSeconds / 2;
        var window = recording.Between(0, half);
        window.Spans.Count.ShouldBeLessThan(recording.Spans.Count);
        window.Spans.ShouldAllBe(span => span.StartCycles <= window.EndCycles);
        Should.Throw<BadInputException>(() => recording.Between(2, 1));
        Should.Throw<BadInputException>(() => recording.Between(100, 101)).Message.ShouldContain("the recording ends at");
        Should.Throw<BadInputException>(() => Plan.Record(lab, site: 10)).Message.ShouldBe("site 10: the patch has sites 0 to 9");
    }

    private static LabMachine Lab(int cpus, int sites, Workload workload)
        => new(new LabMachineOptions { Cpus = cpus, Sites = sites, Costs = workload == Workload.Loaded ? CostPreset.Loaded24 : CostPreset.Quiet4, Workload = workload, Seed = new(5) });
}
