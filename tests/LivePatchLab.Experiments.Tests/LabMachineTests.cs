using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class LabMachineTests
{
    [Theory]
    [InlineData(0, "0 CPUs: a machine has 1 to 1024 CPUs")]
    [InlineData(5_000, "5000 CPUs: a machine has 1 to 1024 CPUs")]
    public void A_machine_has_1_to_1024_cpus(int cpus, string message)
        => Should.Throw<BadInputException>(() => new LabMachine(new LabMachineOptions { Cpus = cpus })).Message.ShouldBe(message);

    [Fact]
    public void There_are_1_site_to_a_million()
        => Should.Throw<BadInputException>(() => new LabMachine(new LabMachineOptions { Sites = 0 })).Message.ShouldStartWith("0 sites");

    [Fact]
    public void A_load_needs_a_cost_model_that_knows_one()
        => Should.Throw<BadInputException>(() => new LabMachine(new LabMachineOptions { Workload = Workload.Loaded })).Message.ShouldContain("loaded-24");

    [Fact]
    public void A_thousand_cpus_are_synchronised_like_two()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 1024, Sites = 10, Workload = Workload.Idle });
        var run = lab.Switch(Protocols.TextPokeBpList, enable: true);
        (run.IsGood, run.SyncRounds, run.Ipis).ShouldBe((true, 3, 3 * 1023));
    }

    [Fact]
    public void More_sites_than_the_kernel_has_repeat_its_gaps()
    {
        var table = SitePopulation.Take(EmbeddedKernels.Debian61Cloud, 80_000);
        table.EnabledCount.ShouldBe(80_000);
        var addresses = table.Sites.Select(s => s.Address).ToList();
        addresses.ShouldBeInOrder(SortDirection.Ascending);
        (addresses[35_052] - addresses[35_051]).ShouldBe(addresses[1] - addresses[0]);
        addresses[35_051].AlignDown(4096).ShouldNotBe(addresses[35_050].AlignDown(4096));
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 80_000, Workload = Workload.Running, Costs = CostPreset.Unit });
        lab.Switch(Protocols.TextPokeBpList, enable: true).IsGood.ShouldBeTrue();
    }

    [Fact]
    public void A_switch_that_is_on_already_writes_nothing()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 50, Workload = Workload.Idle });
        lab.Switch(Protocols.TextPokeBpList, enable: true).BytesWritten.ShouldBe(300);
        lab.Switch(Protocols.TextPokeBpList, enable: true).BytesWritten.ShouldBe(0);
    }

    [Fact]
    public void Two_protocols_may_take_turns_on_one_machine()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 3, Sites = 40, Workload = Workload.Running, Costs = CostPreset.Unit });
        var line = Protocols.All.Except(Protocols.Peers).ToList();
        foreach (var protocol in line.Concat(line))
        {
            lab.Switch(protocol, enable: true).IsGood.ShouldBeTrue(protocol.Name);
            lab.Switch(protocol, enable: false).IsGood.ShouldBeTrue(protocol.Name);
        }
    }

    [Fact]
    public void The_account_adds_up()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 4, Sites = 100, Workload = Workload.Running, Costs = CostPreset.Quiet4 });
        var run = lab.Switch(Protocols.TextPokeBpList, enable: true);
        var total = run.Phases.Select(p => p.Total()).ToList();
        total.Sum(t => t.IpisSent).ShouldBe(total.Sum(t => t.IpisTaken));
        run.Int3Hits.ShouldBe(total.Sum(t => t.Traps));
        run.Phases.Where(p => p.Name.Length > 0).Select(p => p.Name).ShouldBe([TextPokeBpList.PhaseAdding, TextPokeBpList.PhaseUpdating, TextPokeBpList.PhaseFinishing]);
        run.Phases.Sum(p => p.DurationCycles).ShouldBeInRange(run.SimulatedCycles - 100, run.SimulatedCycles);
        foreach (var phase in run.Phases)
            foreach (var cpu in phase.Cpus.Skip(1)) cpu.StalledCycles.ShouldBeLessThanOrEqualTo(phase.DurationCycles + 100_000);
    }

    [Fact]
    public void Observers_do_not_change_the_run()
    {
        StateHash Run(bool observed)
        {
            using var lab = new LabMachine(new LabMachineOptions { Cpus = 3, Sites = 30, Workload = Workload.Running, Costs = CostPreset.Unit });
            var seen = 0;
            if (observed)
            {
                lab.Machine.Events.Stepped += _ => seen++;
                lab.Machine.Events.Trapped += _ => seen++;
                lab.Machine.Events.IpiTaken += _ => seen++;
                lab.Machine.Events.CodeStored += _ => seen++;
            }

            var hash = lab.Switch(Protocols.TextPokeBpList, enable: true).StateHash;
            (seen > 0).ShouldBe(observed);
            return hash;
        }

        Run(observed: true).ShouldBe(Run(observed: false));
    }
}
