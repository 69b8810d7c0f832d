using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>#!machine: an emulated SMP machine with a kernel's text in it.</summary>
internal static class MachineMagic
{
    private const string Embedded = "debian-6.1";

    public static Magic Create() => new("machine", "Makes an emulated SMP machine whose kernel text can be patched, and keeps it in a variable.", Run)
    {
        Parameters =
        [
            new("cpus", $"1 to {MachineOptions.CpusMax}") { Default = "4" },
            new("kernel", $"{Embedded} (the 35,051 sites that travel with the lab), or a variable that holds a kernel image or a site table; left out: what #!load loaded last, else {Embedded}")
            {
                Values = () => [Embedded],
                OtherValues = true,
            },
            LabParameters.Model,
            LabParameters.Costs,
            new("seed", "what all chance is drawn from: same seed, same run") { Default = "1" },
            new("sites", "how many of the kernel's sites, from the first; or all") { Default = LabParameters.All, Values = () => [LabParameters.All], OtherValues = true },
            LabParameters.Workload,
            new("name", "the C# variable that holds the machine") { Default = "machine" },
        ],
        Examples = ["#!machine --cpus 8 --kernel debian-6.1 --model sdm-worst --seed 7", "#!machine --cpus 2 --sites 1 --costs unit --workload running --name small"],
    };

    private static Task Run(MagicCall call)
    {
        var name = call.VariableName("name");
        var options = new LabMachineOptions
        {
            Cpus = call.Count("cpus", 1, MachineOptions.CpusMax),
            Costs = CostPreset.Named(call.Text("costs")),
            Fetch = Suggestion.Find(FetchModel.Presets, model => model.Name, call.Text("model"), "fetch model"),
            Seed = LabParameters.SeedOf(call, "seed"),
            Sites = LabParameters.SitesOf(call, "sites", SitePopulation.SitesMax),
            Workload = LabParameters.WorkloadOf(call),
        };
        var machine = new LabMachine(Kernel(call) switch
        {
            KernelImage image => options with { Image = image },
            SiteTable table => options with { Table = table },
            _ => options,
        });
        call.Set(name, machine);
        call.Display(machine);
        return Task.CompletedTask;
    }

    /// <summary>A <see cref="KernelImage"/>, a <see cref="SiteTable"/>, or null for the embedded table.</summary>
    private static object? Kernel(MagicCall call)
    {
        var name = call.TextOrNull("kernel");
        if (name == Embedded)
            return null;
        if (!call.TryGet<object>(name ?? LoadMagic.KernelVariable, out var kernel))
        {
            return name is null ? null : throw call.Refuse(
                "kernel", $"no kernel named '{name}'.{Suggestion.Question([Embedded, "image", "table"], name)}  ({Embedded}, or a variable that holds what #!load has loaded)");
        }
        if (kernel is KernelImage or SiteTable)
            return kernel;
        // A variable of the cells that only happens to be called kernel is none of ours.
        return name is null ? null : throw call.Refuse("kernel", $"the variable '{name}' holds neither a kernel image nor a site table");
    }
}
