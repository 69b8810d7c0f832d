using LivePatchLab.Linux;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class SevenTracersTests
{
    [Fact]
    public void The_tracers_are_the_mails_and_four_of_them_switch_the_sites_on_and_off()
    {
        SevenTracers.All.Select(tracer => tracer.Name).ShouldBe(["blk", "branch", "function_graph", "wakeup_rt", "irqsoff", "function", "nop"]);
        SevenTracers.SwitchesPerCycle.ShouldBe(8);
    }

    [Theory]
    [InlineData("ftrace_2012", 3, 974.39)]
    [InlineData("text_poke_bp", 3 * 40, 1785.785)]
    [InlineData("text_poke_bp_list", 3, null)]
    public void Every_site_is_written_and_every_sync_made_in_every_switch(string protocol, int syncsPerSwitch, double? mailSeconds)
    {
        using var lab = Make(Workload.Idle);
        var cycles = new List<int>();
        var run = SevenTracers.Run(lab, Protocols.Named(protocol), cycles: 3, cycles.Add);

        cycles.ShouldBe([1, 2, 3]);
        run.Switches.ShouldBe(3 * 8);
        run.SyncRounds.ShouldBe(3 * 8 * syncsPerSwitch);
        run.Ipis.ShouldBe(run.SyncRounds * 3);
        run.BytesWritten.ShouldBe(3 * 8 * 40 * 6);
        lab.Kernel.TextBytesWritten.ShouldBe(run.BytesWritten);
        run.StateHash.ShouldBe(lab.Machine.Hash());
        lab.Records.Records.ShouldAllBe(record => !record.IsEnabled);
        lab.Machine.Memory.Read(lab.Records.Records[39].Ip, 5).ShouldBe(FtraceRecords.NopReplace());
        SevenTracers.RealTimeOfTheMail(run.Protocol)?.TotalSeconds.ShouldBe(mailSeconds!.Value, 1e-9);
        SevenTracers.RealTimeOfTheMail(run.Protocol).HasValue.ShouldBe(mailSeconds.HasValue);
    }

    [Fact]
    public void The_benchmark_is_nothing_but_its_switches_one_after_the_other()
    {
        using var together = Make(Workload.Running);
        using var apart = Make(Workload.Running);
        var run = SevenTracers.Run(together, Protocols.TextPokeBp, cycles: 1);
        var switches = Enumerable.Range(0, 8).Select(i => Patch.All().With(Protocols.TextPokeBp) with { Enable = i % 2 == 0 }).Select(plan => plan.Run(apart)).ToList();
        run.SimulatedCycles.ShouldBe(switches.Sum(each => each.SimulatedCycles));
        run.Ipis.ShouldBe(switches.Sum(each => each.Ipis));
        run.StateHash.ShouldBe(switches[^1].StateHash);
    }

    [Fact]
    public void A_machine_that_is_traced_already_is_refused_and_so_are_no_cycles()
    {
        using var lab = Make(Workload.Idle);
        Should.Throw<BadInputException>(() => SevenTracers.Run(lab, Protocols.TextPokeBp, cycles: 0)).Message.ShouldStartWith("0 cycles");
        lab.Switch(Protocols.TextPokeBp, enable: true);
        Should.Throw<BadInputException>(() => SevenTracers.Run(lab, Protocols.TextPokeBp)).Message.ShouldContain("traced already");
    }

    [Fact]
    public void A_switch_that_goes_wrong_ends_the_benchmark_and_says_which_it_was()
    {
        using var lab = Make(Workload.Idle);
        lab.Kernel.Faults.Fail(FaultPoint.Write, 40 * 3 * 2 + 5, Errno.Efault);
        Should.Throw<BadInputException>(() => SevenTracers.Run(lab, Protocols.TextPokeBpList, cycles: 1)).Message.ShouldStartWith("switch 3, tracer wakeup_rt: text_poke_bp_list");
    }

    private static LabMachine Make(Workload workload) => new(new() { Cpus = 4, Sites = 40, Costs = CostPreset.Seed2013, Workload = workload });
}
