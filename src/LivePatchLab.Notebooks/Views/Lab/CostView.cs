using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>A cost model: every figure with its source.</summary>
internal static class CostView
{
    public static HtmlFragment Of(CostModel model, InterruptLoad? load)
    {
        var rows = model.Figures().Select(each => Row(model, each.Name, each.Figure.Cycles, each.Figure.Source)).ToList();
        if (load is not null)
        {
            rows.Add(Row(model, "interrupts on, mean", load.OnMeanCycles, load.Source));
            rows.Add(Row(model, "interrupts off, mean", load.OffMeanCycles, load.Source));
        }
        return new ViewBuilder()
            .Headline(model.Name, ": " + model.Description)
            .Table(new(["figure", "cycles", "time", "source"], rows) { Numeric = [false, true, true, false] })
            .Footnote(string.Create(CultureInfo.InvariantCulture, $"{model.FrequencyHz / 1e9:0.##} GHz. There is no figure for one synchronisation: that comes about from these."))
            .Build();
    }

    private static string[] Row(CostModel model, string name, long cycles, string source)
        => [name, ViewBuilder.Count(cycles), Duration.Show(model.SecondsOf(cycles)), source];
}
