using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks.Tests;

public sealed class LabViewTests
{
    public LabViewTests() => LabViews.Install();

    [Fact]
    public void A_patch_run_is_one_line_and_its_account_by_phase_and_cpu()
    {
        using var lab = Lab(cpus: 2, sites: 4);
        Text(Patch.All().With(Protocols.TextPokeBpList).Run(lab)).Split("; state ")[0].ShouldBe("""
            text_poke_bp_list on 4 sites, 2 CPUs: 3 syncs, 3 IPIs, 0 int3 hits, 44.0 ns simulated

            phase                  time  IPIs sent  traps  stalled cycles, all CPUs
            ------------------  -------  ---------  -----  ------------------------
            adding breakpoints  20.0 ns          1      0                         6
            updating code       10.0 ns          1      0                         6
            finishing update    12.0 ns          1      0                         6

            CPU             IPIs taken  traps  cycles waiting  cycles in handlers  stalled cycles
            --------------  ----------  -----  --------------  ------------------  --------------
            0, the patcher           0      0               9                   0               9
            1                        3      0               0                   9               9

            stalled cycles of CPU  adding breakpoints  updating code  finishing update
            ---------------------  ------------------  -------------  ----------------
            0, the patcher                          3              3                 3
            1                                       3              3                 3

            seed 1; costs unit; fetch sdm-worst; workload idle; 24 bytes of text written
            """);
    }

    [Fact]
    public void Many_cpus_are_summed_up()
    {
        using var lab = Lab(cpus: 40, sites: 4);
        var text = Text(Patch.All().With(Protocols.TextPokeBpList).Run(lab));
        text.ShouldContain("the 39 others: least");
        text.ShouldContain("median");
        text.Split('\n').Length.ShouldBeLessThan(24);
    }

    [Fact]
    public void Two_equal_runs_show_the_same_text_and_the_same_html()
    {
        using var one = Lab(cpus: 3, sites: 10);
        using var other = Lab(cpus: 3, sites: 10);
        var plan = Patch.All().With(Protocols.TextPokeBp);
        var first = Formatter.Bundle(plan.Run(one));
        var second = Formatter.Bundle(plan.Run(other));
        second.Text(MimeBundle.Plain).ShouldBe(first.Text(MimeBundle.Plain));
        second.Text(MimeBundle.Html).ShouldBe(first.Text(MimeBundle.Html));
    }

    [Fact]
    public void A_bad_run_says_so_first_of_all()
    {
        using var lab = Lab(cpus: 2, sites: 4);
        lab.Kernel.Faults.Fail(FaultPoint.Write, 2, Errno.Efault);
        var run = Patch.All().With(Protocols.TextPokeBpList).Run(lab);
        Text(run).Split('\n')[1].ShouldStartWith("Failed: -EFAULT while adding breakpoints, after 1 entries");
        Formatter.Bundle(run).Text(MimeBundle.Html)!.ShouldContain("<strong>Failed: -EFAULT");
    }

    [Fact]
    public void Every_figure_of_a_cost_model_stands_with_its_source()
    {
        var text = Text(CostPreset.Loaded24);
        foreach (var (name, figure) in CostPreset.Loaded24.Costs.Figures())
        {
            text.ShouldContain(name);
            text.ShouldContain(figure.Source);
        }
        text.ShouldContain("exponential");
    }

    [Fact]
    public void A_fetch_model_and_a_site_table_have_views_with_html()
    {
        foreach (var value in new object[] { FetchModel.SdmWorst, EmbeddedKernels.Debian61Cloud })
            Formatter.Bundle(value).Has(MimeBundle.Html).ShouldBeTrue();
        Text(EmbeddedKernels.Debian61Cloud).ShouldBe("6.1.0-56-cloud-amd64: 35,609 traced sites from ffffffff81000000 on, of which ftrace enables 35,051");
    }

    private static LabMachine Lab(int cpus, int sites) => new(new LabMachineOptions { Cpus = cpus, Sites = sites, Costs = CostPreset.Unit, Workload = Workload.Idle });

    private static string Text(object value) => Formatter.Bundle(value).Text(MimeBundle.Plain)!;
}
