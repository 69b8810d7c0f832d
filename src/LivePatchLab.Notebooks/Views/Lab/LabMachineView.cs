using LivePatchLab.Experiments;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A machine: what it is made of, and the line that makes another one like it.</summary>
internal static class LabMachineView
{
    public static HtmlFragment Of(LabMachine lab)
    {
        var options = lab.Options;
        var records = lab.Records.Records;
        return new ViewBuilder()
            .Headline("machine", $": {Plural(lab.Machine.Cpus.Count, "CPU")}, {Plural(records.Count, "traced site")} of {lab.Text.KernelName}{(options.Image is null ? ", laid out at their real addresses in a synthetic text" : ", in its own text")}")
            .Table(new(["", ""],
            [
                ["fetch model", $"{options.Fetch.Name}: {options.Fetch.Description}"],
                ["cost model", $"{options.Costs.Name}: {options.Costs.Costs.Description}"],
                ["workload", Workload(lab.Workload)],
                ["sites traced now", $"{Count(records.Count(record => record.IsEnabled))} of {Count(records.Count)}"],
                ["clock", $"{Count(lab.Machine.ClockCycles)} cycles"],
                ["seed", options.Seed.ToString()],
            ]))
            .Build();
    }

    private static string Workload(Workload workload) => workload switch
    {
        Experiments.Workload.Idle => "idle: the CPUs halt, and every IPI wakes them",
        Experiments.Workload.Running => "running: the CPUs call one traced function after the other",
        _ => "loaded: the CPUs work, with interrupts off now and then",
    };
}
