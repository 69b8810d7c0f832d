using LivePatchLab.Linux;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class PatchPlanTests
{
    [Fact]
    public void A_plan_does_what_a_switch_does()
    {
        using var bySwitch = Small();
        using var byPlan = Small();
        var expected = bySwitch.Switch(Protocols.TextPokeBpList, enable: true);
        var actual = Patch.All("ftrace").With(Protocols.TextPokeBpList).Run(byPlan);
        actual.StateHash.ShouldBe(expected.StateHash);
        byPlan.Records.Records.ShouldAllBe(record => record.IsEnabled);
    }

    [Fact]
    public void The_way_back_restores_the_nops_and_the_first_sites_are_the_first()
    {
        using var lab = Small();
        var two = Patch.First(2).With("text_poke_bp");
        two.Run(lab).SyncRounds.ShouldBe(6);
        lab.Records.Records.Count(record => record.IsEnabled).ShouldBe(2);
        lab.Records.Records[1].IsEnabled.ShouldBeTrue();

        // What is in its final state already needs no change, and costs no round.
        Patch.All().With(Protocols.TextPokeBp).Run(lab).SyncRounds.ShouldBe(3 * (10 - 2));
        Patch.All().With(Protocols.TextPokeBpList).Back().Run(lab).IsGood.ShouldBeTrue();
        lab.Records.Records.ShouldAllBe(record => !record.IsEnabled);
        lab.Machine.Memory.Read(lab.Records.Records[0].Ip, 5).ShouldBe(FtraceRecords.NopReplace());
    }

    [Fact]
    public void What_cannot_be_is_said_in_one_line()
    {
        using var lab = Small();
        Should.Throw<BadInputException>(() => Patch.All("ftrce")).Message.ShouldStartWith("no kind of site named 'ftrce'. Did you mean ftrace?");
        Should.Throw<BadInputException>(() => Patch.First(0)).Message.ShouldBe("0 sites: a patch takes at least 1");
        Should.Throw<BadInputException>(() => Patch.First(11).With(Protocols.TextPokeBp).Run(lab)).Message.ShouldStartWith("11 sites: the machine has 10");
        Should.Throw<BadInputException>(() => Patch.All().With("text_poke_bq")).Message.ShouldContain("Did you mean text_poke_bp?");
        Should.Throw<BadInputException>(() => SiteLoop.Start(lab, cpu: 3)).Message.ShouldStartWith("CPU 3: the machine has CPUs 0 to 2");
    }

    [Fact]
    public void A_machine_that_stopped_in_the_middle_is_not_patched_again()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 3, Workload = Workload.Idle });
        lab.Kernel.Faults.Fail(FaultPoint.Write, 2, Errno.Efault);
        Patch.All().With(Protocols.TextPokeBp).Run(lab).Bug.ShouldNotBeNull();
        Should.Throw<BadInputException>(() => Patch.All().With(Protocols.TextPokeBp).Run(lab)).Message.ShouldContain("stopped in the middle");
    }

    [Theory]
    [InlineData("text_poke_bp", "sites")]
    [InlineData("text_poke_bp_list", "adding breakpoints", "updating code", "finishing update")]
    [InlineData("ftrace_2012", "adding breakpoints", "updating code", "removing breakpoints")]
    public void Progress_counts_the_sites_of_each_pass_and_leaves_the_outcome_alone(string protocol, params string[] passes)
    {
        var seen = new List<PatchProgress>();
        using var watched = new LabMachine(new LabMachineOptions { Cpus = 3, Sites = 300, Workload = Workload.Running });
        using var alone = new LabMachine(watched.Options);
        var run = Patch.All().With(protocol).Run(watched, seen.Add, CancellationToken.None);
        run.StateHash.ShouldBe(Patch.All().With(protocol).Run(alone).StateHash);
        seen.ShouldBe(passes.SelectMany(pass => new[] { 128, 256, 300 }.Select(done => new PatchProgress(pass, done, 300))));
    }

    private static LabMachine Small() => new(new LabMachineOptions { Cpus = 3, Sites = 10, Workload = Workload.Running });
}
