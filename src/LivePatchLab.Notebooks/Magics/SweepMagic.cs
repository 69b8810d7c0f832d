using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>#!sweep: many patch runs, each on a machine of its own.</summary>
internal static class SweepMagic
{
    private const int RunsMax = 100_000;

    public static Magic Create() => new("sweep", "Runs every protocol with every number of sites and CPUs and every seed, on all cores of this computer.", Run)
    {
        Parameters =
        [
            LabParameters.Engines,
            new("sites", "how many sites: 1,10,100; beyond the kernel's own its gaps are repeated") { Required = true },
            new("cpus", "how many CPUs: 2,4,8") { Default = "4" },
            new("seeds", "seeds: 1,2 or 1..20") { Default = "1" },
            LabParameters.Costs,
            LabParameters.Model,
            LabParameters.Workload,
            new("name", "the C# variable that takes the results") { Default = "sweep" },
        ],
        Examples = ["#!sweep --engines text_poke_bp,text_poke_bp_list --sites 1,10,100 --cpus 2,4", "#!sweep --engines text_poke_bp --sites 56 --cpus 24 --costs loaded-24 --seeds 1..20 --name loaded"],
    };

    private static Task Run(MagicCall call)
    {
        var name = call.VariableName("name");
        var spec = new SweepSpec
        {
            Engines = LabParameters.EnginesOf(call),
            Sites = [.. call.Numbers("sites", 1, SitePopulation.SitesMax).Select(sites => (int)sites)],
            Cpus = [.. call.Numbers("cpus", 1, MachineOptions.CpusMax).Select(cpus => (int)cpus)],
            Seeds = [.. call.Numbers("seeds", 0, long.MaxValue - 1).Select(seed => (ulong)seed)],
            Costs = call.Text("costs"),
            Fetch = call.Text("model"),
            Workload = call.TextOrNull("workload"),
        };
        if (spec.RunCount > RunsMax)
            throw new UserErrorException($"#!sweep: that is {spec.RunCount} runs; a cell takes up to {RunsMax}. livepatch sweep has no such limit");
        var result = Sweep.Run(spec, progress: at => call.Progress.Report(new(at.Done, at.Total, "runs")), cancellation: call.CancellationToken);
        call.Set(name, result);
        call.Display(result);
        return result.IsComplete ? Task.CompletedTask : throw new CellInterruptedException($"{result.Interruption}; `{name}` holds those {result.Runs.Count:N0}");
    }
}
