using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks;

/// <summary>#!plot: a sweep as a figure.</summary>
internal static class PlotMagic
{
    public static Magic Create() => new("plot", "Draws a sweep: one quantity over another, a line for each protocol; a bar from the least to the most where there are several seeds.", Run)
    {
        Parameters =
        [
            new("of", "the C# variable that holds the sweep") { Default = "sweep" },
            new("x", "along the x axis") { Default = "sites", Values = () => SweepPlot.Inputs },
            new("y", "along the y axis") { Default = "simulatedSeconds", Values = () => SweepPlot.Outputs.Select(output => output.Name) },
            new("by", "a line for each value of it") { Default = "engine", Values = () => SweepPlot.Inputs },
            new("log", "both axes logarithmic") { Flag = true },
            new("title", "the title; left out: made from the above"),
            new("name", "the C# variable that takes the figure") { Default = "figure" },
        ],
        Examples = ["#!plot --x sites --y syncRounds --log", "#!plot --of loaded --x cpus --y ipisPerCpu --by engine"],
    };

    private static Task Run(MagicCall call)
    {
        var name = call.VariableName("name");
        var variable = call.Text("of");
        if (!call.TryGet<SweepResult>(variable, out var sweep))
            throw new UserErrorException($"there is no sweep in a variable '{variable}'; #!sweep makes one");
        var figure = sweep.Plot(call.Text("x"), call.Text("y"), call.Text("by"), call.Flag("log"));
        if (call.TextOrNull("title") is { } title)
            figure = figure with { Title = title };
        call.Set(name, figure);
        call.Display(figure);
        return Task.CompletedTask;
    }
}
