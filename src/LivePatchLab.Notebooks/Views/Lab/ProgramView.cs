using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>A program on its machine: where its CPUs are, what it has written, how it ended.</summary>
internal static class ProgramView
{
    private const int CpuRowsMax = 16;

    public static HtmlFragment Of(Program program)
    {
        var view = new ViewBuilder().Headline(Path.GetFileName(program.Image.Source), $": {ViewBuilder.Plural(program.Cpus.Count, "CPU")}; {State(program)}")
            .Table(new(["CPU", "clock, cycles", "retired", "state"],
            [
                .. program.Cpus.Take(CpuRowsMax).Select(cpu => (string[])
                [
                    cpu.Id.Index.ToString(CultureInfo.InvariantCulture), ViewBuilder.Count(cpu.ClockCycles), ViewBuilder.Count(cpu.RetiredInstructions),
                    cpu.Activity != CpuActivity.Guest ? "has called exit" : $"{(program.End is null ? "next" : "stopped before")} {cpu.DescribeNext()}",
                ]),
            ])
            {
                Numeric = [true, true, true, false],
                Remainder = program.Cpus.Count > CpuRowsMax ? $"… and {program.Cpus.Count - CpuRowsMax} more CPUs" : "",
            });
        if (program.Breakpoints.Count > 0) view.Paragraph("breakpoints: " + string.Join(", ", program.Breakpoints.Select(at => at.Name ?? new GuestAddress(at).ToString())));
        if (program.Output.Length > 0) view.Part($"<pre>{HtmlText.Escape(program.Output)}</pre>", program.Output.TrimEnd('\n'));
        return view.Build();
    }

    private static string State(Program program)
        => program.End is { } end ? end.Message ?? $"ended with status {end.Status}"
            : program.Machine.ClockCycles == 0 ? $"not yet run, {ViewBuilder.Plural(program.Image.FtraceSites.Count, "traced site")}"
            : "stopped on its way";
}
