using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

/// <summary>How many syncs a switch of all 35,051 sites of Debian's 6.1.0-56-cloud takes: numbers that can be worked out by hand.</summary>
public sealed class ProtocolSyncCountTests
{
    private const int Sites = 35_051;

    [Theory]
    [InlineData("stop_machine", 1)]
    [InlineData("ftrace_2012", 3)]
    [InlineData("ftrace_2014", 3)]
    [InlineData("text_poke_bp_list", 3)]
    [InlineData("text_poke_bp", 3 * Sites)]
    [InlineData("text_poke_bp_emulate", 3 * Sites)]
    [InlineData("text_poke_bp_batch", 3 * 274)]
    [InlineData("text_poke_queue", 3 * 207)]
    [InlineData("text_poke_bp_two_phase", 4 * 207)]
    [InlineData("text_poke_bp_refcount", 3 * 137)]
    [InlineData("text_poke_bp_global_desc", 3 * 137)]
    [InlineData("text_poke_bp_per_cpu_refs", 3 * 137)]
    [InlineData("smp_text_poke", 411)]
    public void A_whole_kernel_takes_as_many_syncs_as_it_has_pages_of_locations(string protocol, long rounds)
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 4, Workload = Workload.Idle });
        foreach (var enable in new[] { true, false })
        {
            var run = lab.Switch(Protocols.Named(protocol), enable);
            run.IsGood.ShouldBeTrue(run.ToString());
            run.Sites.ShouldBe(Sites);
            run.SyncRounds.ShouldBe(rounds);
            run.Ipis.ShouldBe(rounds * 3);
        }
    }

    [Fact]
    public void Rostedts_kernel_of_2019_takes_606_syncs_by_the_queue()
    {
        // He counted 120 IPIs on each CPU before, and 657 after, on 34,274 sites; other IPIs are in both.
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 8, Sites = 34_274, Workload = Workload.Idle });
        lab.Switch(Protocols.TextPokeQueue, enable: true).SyncRounds.ShouldBe(606);
    }

    [Fact]
    public void Every_protocol_has_its_count_here()
        => Protocols.Kernel.Count.ShouldBe(typeof(ProtocolSyncCountTests).GetMethod(nameof(A_whole_kernel_takes_as_many_syncs_as_it_has_pages_of_locations))!.GetCustomAttributesData().Count(a => a.AttributeType == typeof(InlineDataAttribute)));
}
