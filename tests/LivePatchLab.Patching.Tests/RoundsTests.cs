using LivePatchLab.Experiments;

namespace LivePatchLab.Patching.Tests;

/// <summary>The counts that everybody who knows these protocols can work out: 3N, 3, 3, 1.</summary>
public sealed class RoundsTests
{
    [Theory]
    [InlineData("text_poke_bp", 1, 3)]
    [InlineData("text_poke_bp", 100, 300)]
    [InlineData("text_poke_bp_list", 1, 3)]
    [InlineData("text_poke_bp_list", 100, 3)]
    [InlineData("ftrace_2012", 100, 3)]
    [InlineData("stop_machine", 100, 1)]
    [InlineData("ftrace_2014", 100, 3)]
    [InlineData("text_poke_bp_batch", 128, 3)]
    [InlineData("text_poke_bp_batch", 129, 6)]
    [InlineData("text_poke_bp_emulate", 100, 300)]
    [InlineData("text_poke_queue", 170, 3)]
    [InlineData("text_poke_queue", 171, 6)]
    [InlineData("text_poke_bp_two_phase", 170, 4)]
    [InlineData("text_poke_bp_two_phase", 171, 8)]
    [InlineData("text_poke_bp_refcount", 256, 3)]
    [InlineData("text_poke_bp_refcount", 257, 6)]
    [InlineData("text_poke_bp_global_desc", 257, 6)]
    [InlineData("text_poke_bp_per_cpu_refs", 257, 6)]
    [InlineData("smp_text_poke", 256, 3)]
    [InlineData("smp_text_poke", 257, 6)]
    public void Sync_rounds_and_ipis(string engine, int sites, int rounds)
    {
        const int Cpus = 5;
        using var lab = new LabMachine(new LabMachineOptions { Cpus = Cpus, Sites = sites, Costs = CostPreset.Quiet4, Workload = Workload.Idle });
        var run = lab.Switch(Protocols.Named(engine), enable: true);
        run.IsGood.ShouldBeTrue(run.ToString());
        run.SyncRounds.ShouldBe(rounds);
        run.Ipis.ShouldBe(rounds * (Cpus - 1));
        run.BytesWritten.ShouldBe(sites * (engine == "stop_machine" ? 5 : 6));
    }

    [Fact]
    public void A_whole_kernel_takes_105153_rounds_site_by_site_and_3_by_the_list()
    {
        using var one = new LabMachine(new LabMachineOptions { Cpus = 2, Workload = Workload.Idle });
        one.Records.Records.Count.ShouldBe(35_051);
        one.Switch(Protocols.TextPokeBp, enable: true).SyncRounds.ShouldBe(105_153);
        one.Switch(Protocols.TextPokeBpList, enable: false).SyncRounds.ShouldBe(3);
        one.Switch(Protocols.Ftrace2012, enable: true).SyncRounds.ShouldBe(3);
    }

    [Fact]
    public void A_lone_cpu_synchronises_itself_and_sends_nothing()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 1, Sites = 10, Workload = Workload.Idle });
        var run = lab.Switch(Protocols.TextPokeBpList, enable: true);
        run.IsGood.ShouldBeTrue(run.ToString());
        (run.SyncRounds, run.Ipis).ShouldBe((3, 0));
    }

    [Fact]
    public void Instructions_of_one_byte_need_no_tail_and_two_rounds()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 3, Workload = Workload.Idle });
        var sites = lab.SitesFor(true).Select(s => new PatchSite(s.Address + 5, lab.Machine.Memory.Read(s.Address + 5, 1), [0x90])).ToList();
        lab.Patch(Protocols.TextPokeBpList, sites).SyncRounds.ShouldBe(2);
        lab.Patch(Protocols.TextPokeBp, sites.ConvertAll(s => new PatchSite(s.Address, [0x90], s.OldCode))).SyncRounds.ShouldBe(6);
    }

    [Fact]
    public void Text_poke_bp_and_text_poke_bp_list_share_the_seeds_globals()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 3, Workload = Workload.Idle });
        var state = BreakpointState.In(lab.Kernel);
        lab.Switch(Protocols.TextPokeBpList, enable: true).IsGood.ShouldBeTrue();
        (state.Handler.Value, state.Address.Value, state.Length.Value, state.PatchingInProgress.Value).ShouldBe((null, null, 5, false));
        var isHandled = state.IsHandled.Value.ShouldNotBeNull();
        isHandled(lab.Text.Sites[1] + 1).ShouldBeTrue("the handler passes regs.ip, behind the int3");
        isHandled(lab.Text.Sites[1]).ShouldBeFalse();

        lab.Switch(Protocols.TextPokeBp, enable: false).IsGood.ShouldBeTrue();
        state.IsHandled.Value.ShouldBeNull();
        (state.Handler.Value, state.Address.Value).ShouldBe((lab.Text.Sites[2] + 5, lab.Text.Sites[2] + 1));
        BreakpointState.In(lab.Kernel).ShouldBeSameAs(state);
    }

    [Fact]
    public void A_list_must_ascend_and_have_one_length()
    {
        var a = new PatchSite(new(0x1000), [1, 2], [3, 4]);
        var b = new PatchSite(new(0x2000), [1, 2, 3], [3, 4, 5]);
        Should.Throw<ArgumentException>(() => PatchSiteList.Iterate([b, a])).Message.ShouldContain("ascend");
        Should.Throw<ArgumentException>(() => PatchSiteList.Iterate([a, b])).Message.ShouldContain("one length");
    }

    [Fact]
    public void An_unknown_protocol_is_told_with_the_nearest()
        => Should.Throw<Linux.BadInputException>(() => Protocols.Named("text_poke_bp_lst")).Message.ShouldStartWith("no protocol named 'text_poke_bp_lst'. Did you mean text_poke_bp_list?");
}
