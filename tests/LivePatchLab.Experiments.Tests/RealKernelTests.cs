using LivePatchLab.Linux;
using LivePatchLab.Linux.Tests;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

/// <summary>A real Debian kernel's own text in the machine: all its sites switched while CPUs run its leaf functions.</summary>
public sealed class RealKernelTests
{
    [KernelFact]
    public void All_sites_of_the_image_are_switched_while_its_own_functions_run()
    {
        var image = KernelFolder.Open(KernelFolder.Cloud61);
        var enabled = image.SitesForPatching.Count();
        enabled.ShouldBeGreaterThan(30_000);
        foreach (var (engine, rounds) in new[] { ("text_poke_bp", 3L * enabled), ("text_poke_bp_list", 3), ("ftrace_2012", 3), ("stop_machine", 1) })
        {
            using var lab = new LabMachine(new LabMachineOptions { Image = image, Cpus = 4, Costs = CostPreset.Unit, Workload = Workload.Running });
            lab.Text.ShouldBeOfType<KernelText>().Functions.Count.ShouldBeGreaterThan(500);
            foreach (var enable in new[] { true, false })
            {
                var run = lab.Switch(Protocols.Named(engine), enable);
                run.IsGood.ShouldBeTrue(run.ToString());
                run.Sites.ShouldBe(enabled);
                run.SyncRounds.ShouldBe(rounds);
            }

            lab.Visits.ShouldBeGreaterThan(1_000);
            lab.TracerCalls.ShouldBeGreaterThan(0);
        }
    }

    [KernelFact]
    public void A_sync_left_out_is_caught_in_the_kernels_own_text()
    {
        var image = KernelFolder.Open(KernelFolder.Cloud61);
        var control = Protocols.TextPokeBpList.Without(TextPokeBpList.PhaseFinishing);
        Violation? seen = null;
        for (var seed = 1UL; seed <= 20 && seen is null; seed++)
        {
            using var lab = new LabMachine(new LabMachineOptions { Image = image, Cpus = 4, Costs = CostPreset.Unit, Workload = Workload.Running, Seed = new(seed) });
            var leaves = lab.Text.Functions.ToHashSet();
            seen = lab.Patch(control, [.. lab.SitesFor(enable: true).Where(s => leaves.Contains(s.Address))]).Violation;
        }

        seen.ShouldNotBeNull().Kind.ShouldBeOneOf(ViolationKind.StaleAfterCompletion, ViolationKind.UnhandledException);
    }

    [KernelFact]
    public void The_table_of_the_image_gives_the_counts_of_the_image()
    {
        var table = SiteTable.FromKernel(KernelFolder.Open(KernelFolder.Cloud61));
        using var lab = new LabMachine(new LabMachineOptions { Table = table, Cpus = 2, Workload = Workload.Idle });
        lab.Switch(Protocols.TextPokeBp, enable: true).SyncRounds.ShouldBe(3L * table.EnabledCount);
        lab.Switch(Protocols.TextPokeBpList, enable: false).SyncRounds.ShouldBe(3);
    }
}
