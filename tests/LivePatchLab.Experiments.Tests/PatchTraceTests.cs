using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class PatchTraceTests
{
    private static readonly GuestAddress Site = new(0xffffffff8100103d);
    private static readonly SiteTable OneFunction = new("one function", Site, [new(Site, IsEnabled: true), new(Site + 6, IsEnabled: false)]);
    private static readonly PatchPlan Plan = Patch.All().With(Protocols.TextPokeBpList);

    [Fact]
    public void The_sites_bytes_go_from_nop_over_int3_to_call()
    {
        using var lab = TwoCpus(FetchModel.Ideal, 1);
        Plan.Trace(lab).SiteHistory.ShouldBe(["0f 1f 44 00 00", "cc 1f 44 00 00", "cc be 0f 00 00", "e8 be 0f 00 00"]);
    }

    [Fact]
    public void Watching_does_not_change_the_run()
    {
        for (var seed = 1UL; seed <= 20; seed++)
        {
            using var watched = TwoCpus(FetchModel.SdmWorst, seed);
            using var alone = TwoCpus(FetchModel.SdmWorst, seed);
            Plan.Trace(watched).Run.StateHash.ShouldBe(Plan.Run(alone).StateHash, $"seed {seed}");
        }
    }

    [Fact]
    public void Rows_come_in_the_order_of_the_clock_and_show_steps_traps_and_interrupts()
    {
        using var lab = TwoCpus(FetchModel.Ideal, 1);
        var trace = Plan.Trace(lab);
        trace.Rows.Select(row => row.ClockCycles).ShouldBe(trace.Rows.Select(row => row.ClockCycles).Order());
        var other = trace.Rows.Select(row => row.Cells[1]).OfType<TraceCell>().ToList();
        other.Count(cell => cell.Kind == TraceCellKind.Trap).ShouldBe((int)trace.Run.Int3Hits);
        other.Count(cell => cell.Kind == TraceCellKind.Ipi).ShouldBe((int)trace.Run.Ipis);
        other.ShouldContain(cell => cell.Text == "e8 be 0f 00 00  call ftrace_caller");
        trace.Rows.Count(row => row.Cells[0]?.Text == "run_sync").ShouldBe(3);
        trace.Brief().Rows.Count.ShouldBeLessThan(trace.Rows.Count);
    }

    [Fact]
    public void Stale_and_torn_instructions_are_marked_and_the_whole_protocol_shows_none_that_is_torn()
    {
        var broken = Patch.All().With(Protocols.TextPokeBpList.Without(TextPokeBpList.PhaseAdding));
        var (stale, torn) = (0, 0);
        for (var seed = 1UL; seed <= 60; seed++)
        {
            using var whole = TwoCpus(FetchModel.SdmWorst, seed);
            var good = Plan.Trace(whole);
            good.Run.IsGood.ShouldBeTrue($"seed {seed}: {good.Run}");
            stale += good.Rows.Count(row => row.Cells[1] is { IsStale: true });
            good.Rows.ShouldAllBe(row => row.Cells[1] == null || !row.Cells[1]!.IsTorn);

            using var lab = TwoCpus(FetchModel.SdmWorst, seed);
            var trace = broken.Trace(lab);
            if (trace.Run.Violation is not { Kind: ViolationKind.TornInstruction }) continue;
            trace.Rows.ShouldContain(row => row.Cells[1] != null && row.Cells[1]!.IsTorn, $"seed {seed}: {trace.Run}");
            torn++;
        }

        stale.ShouldBeGreaterThan(0);
        torn.ShouldBeGreaterThan(0);
    }

    private static LabMachine TwoCpus(FetchModel fetch, ulong seed)
    {
        var lab = new LabMachine(new LabMachineOptions
        {
            Cpus = 2,
            Table = OneFunction,
            Costs = CostPreset.Unit,
            Fetch = fetch,
            Seed = new(seed),
            Workload = Workload.Running,
            QuantumCyclesMax = 1,
        });
        SiteLoop.Start(lab, cpu: 1);
        lab.RunGuests((long)(seed % 4));
        return lab;
    }
}
