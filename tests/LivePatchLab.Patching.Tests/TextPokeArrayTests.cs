using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>Two clients share the one array of Linux 6.16, each with text_mutex for one call at a time.</summary>
public sealed class TextPokeArrayTests
{
    private const int SeedsMax = 30;

    [Fact]
    public void A_single_site_put_behind_higher_ones_makes_the_binary_search_miss_them()
    {
        var misses = 0;
        for (var seed = 1UL; seed <= SeedsMax; seed++)
        {
            using var lab = Make(seed);
            var stop = TwoClients(lab, (array, kernel, site) => array.SingleUnordered(kernel, site));
            if (stop != MachineStop.Fault) continue;
            misses++;
            lab.Machine.Fault!.Vector.ShouldBe(TrapVector.Breakpoint);
            lab.Text.Sites.ShouldContain(lab.Machine.Fault.Rip);
        }

        misses.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void With_the_fix_of_June_2025_the_array_is_poked_first()
    {
        for (var seed = 1UL; seed <= SeedsMax; seed++)
        {
            using var lab = Make(seed);
            TwoClients(lab, (array, kernel, site) => array.Single(kernel, site)).ShouldBe(MachineStop.Completed, $"seed {seed}");
            lab.Kernel.SyncRounds.ShouldBe(6, "what the first client had queued, and the single site");
        }
    }

    [Fact]
    public void The_handlers_search_shows_whether_the_array_ascends()
    {
        var unsorted = 0;
        for (var seed = 1UL; seed <= SeedsMax && unsorted == 0; seed++)
        {
            using var lab = Make(seed);
            lab.Machine.Events.Stepped += e =>
            {
                if (e.Step is Int3Lookup { IsSorted: false }) unsorted++;
            };
            TwoClients(lab, (array, kernel, site) => array.SingleUnordered(kernel, site));
        }

        unsorted.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void A_single_site_put_into_a_full_array_writes_over_its_count()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = TextPokeArray.LocationsMax + 1, Workload = Workload.Idle });
        var sites = lab.SitesFor(enable: true);
        var array = TextPokeArray.In(lab.Kernel);
        var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
        lab.Machine.Run(lab.Machine.Cpus[0].Start("fill", Fill()));
        lab.Kernel.Bug.ShouldNotBeNull().ShouldStartWith("smp_text_poke_batch_finish: page fault: it reads vec[256] of an array that has 256, because nr_entries says");

        IEnumerable<KernelStep> Fill()
        {
            yield return lab.Kernel.TextMutex.Acquire();
            foreach (var site in sites.Take(TextPokeArray.LocationsMax)) yield return KernelStep.Call(array.BatchAdd(context, site));
            yield return KernelStep.Call(array.SingleUnordered(context, sites[^1]));
        }
    }

    [Fact]
    public void Alone_the_unsorted_single_works_which_is_why_it_was_found_late()
    {
        using var lab = Make(1);
        lab.Switch(new SmpTextPokeUnsorted(), enable: true).IsGood.ShouldBeTrue();
        lab.Switch(new SmpTextPokeUnsorted(), enable: false).IsGood.ShouldBeTrue();
    }

    /// <summary>The first client adds all sites but the lowest; the second pokes the lowest; then the first finishes.</summary>
    private static MachineStop TwoClients(LabMachine lab, Func<TextPokeArray, PatchContext, PatchSite, IEnumerable<KernelStep>> single)
    {
        var sites = lab.SitesFor(enable: true);
        var array = TextPokeArray.In(lab.Kernel);
        var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
        return lab.Machine.Run(lab.Machine.Cpus[0].Start("two clients", Steps()));

        IEnumerable<KernelStep> Steps()
        {
            foreach (var site in sites.Skip(1))
            {
                yield return lab.Kernel.TextMutex.Acquire();
                yield return KernelStep.Call(array.BatchAdd(context, site));
                yield return lab.Kernel.TextMutex.Release();
            }

            yield return lab.Kernel.TextMutex.Acquire();
            yield return KernelStep.Call(single(array, context, sites[0]));
            yield return lab.Kernel.TextMutex.Release();
        }
    }

    private static LabMachine Make(ulong seed) => new(new LabMachineOptions { Cpus = 3, Sites = 6, Costs = CostPreset.Unit, Workload = Workload.Running, Seed = new(seed) });
}
