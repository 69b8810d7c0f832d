using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A machine: what it is made of, and the line that makes another one like it.</summary>
internal static class LabMachineView
{
    private const int CpuRowsMax = 16;

    public static HtmlFragment Of(LabMachine lab)
    {
        var options = lab.Options;
        var records = lab.Records.Records;
        var view = new ViewBuilder()
            .Headline("machine", $": {Plural(lab.Machine.Cpus.Count, "CPU")}, {Plural(records.Count, "traced site")} of {lab.Text.KernelName}{(options.Image is null ? ", laid out at their real addresses in a synthetic text" : ", in its own text")}")
            .Table(new(["", ""],
            [
                ["fetch model", $"{options.Fetch.Name}: {options.Fetch.Description}"],
                ["cost model", $"{options.Costs.Name}: {options.Costs.Costs.Description}"],
                ["workload", Workload(lab.Workload)],
                ["sites traced now", $"{Count(records.Count(record => record.IsEnabled))} of {Count(records.Count)}"],
                ["clock", $"{Count(lab.Machine.ClockCycles)} cycles"],
                ["seed", options.Seed.ToString()],
            ]));
        // A machine that has done nothing yet has equal CPUs at clock 0.
        if (lab.Machine.ClockCycles > 0)
            view.Table(Cpus(lab));
        foreach (var waiting in lab.Machine.Waiting())
            view.Paragraph($"waits: {waiting}");
        return view.Build();
    }

    private static DataTable Cpus(LabMachine lab)
    {
        var cpus = lab.Machine.Cpus;
        return new(["CPU", "clock, cycles", "behind", "state", "interrupts", "IPIs pending"],
        [
            .. cpus.Take(CpuRowsMax).Select(cpu => (string[])
            [
                cpu.Id.Index.ToString(CultureInfo.InvariantCulture), Count(cpu.ClockCycles), Count(lab.Machine.ClockCycles - cpu.ClockCycles), State(cpu),
                cpu.InterruptsEnabled ? "on" : "off", cpu.PendingIpiCount == 0 ? "" : Count(cpu.PendingIpiCount),
            ]),
        ])
        {
            Numeric = [true, true, true, false, false, true],
            Remainder = cpus.Count > CpuRowsMax ? $"… and {cpus.Count - CpuRowsMax} more CPUs, {Plural(cpus.Skip(CpuRowsMax).Sum(cpu => (long)cpu.PendingIpiCount), "IPI")} pending on them" : "",
        };
    }

    private static string State(Cpu cpu) => cpu is { Routine: null, Activity: CpuActivity.Guest } ? $"guest code at {cpu.Rip}" : CpuView.Activity(cpu);

    private static string Workload(Workload workload) => workload switch
    {
        Experiments.Workload.Idle => "idle: the CPUs halt, and every IPI wakes them",
        Experiments.Workload.Running => "running: the CPUs call one traced function after the other",
        _ => "loaded: the CPUs work, with interrupts off now and then",
    };
}
