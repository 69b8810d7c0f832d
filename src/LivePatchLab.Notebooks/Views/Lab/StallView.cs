using LivePatchLab.Experiments;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>How long CPUs stood still, stall by stall: a histogram, and the quantiles by phase.</summary>
public static class StallView
{
    private const int BinsMax = 16;
    private const int SeriesMax = 4;

    // The ratio from one bin's edge to the next: as fine as there is room for.
    private static readonly double[] Ratios = [1.05, 1.1, 1.25, 1.5, 2, 5, 10, 100, 1000];

    /// <summary>A histogram with logarithmic bins: bars over the lower edge of each.</summary>
    public static Figure Plot(this StallRecord stalls)
    {
        var figure = new Figure("How long CPUs stood still").X("length of a stall, from").Y("stalls").Says(Caption(stalls));
        var series = Series(stalls);
        var all = series.SelectMany(each => each.Counts.Keys).Where(cycles => cycles > 0).ToArray();
        if (all.Length == 0) return figure;
        var (least, most) = (all.Min(), all.Max());
        var ratio = Ratios.First(each => each == Ratios[^1] || Math.Log((double)most / least) / Math.Log(each) < BinsMax - 1);
        var bins = (int)(Math.Log((double)most / least) / Math.Log(ratio)) + 1;
        var names = Enumerable.Range(0, bins).Select(i => AxisTicks.Readable(stalls.Costs.SecondsOf(1) * least * Math.Pow(ratio, i), "s")).ToArray();
        foreach (var (name, counts) in series)
        {
            var heights = new double[bins];
            foreach (var (cycles, count) in counts)
                if (cycles > 0) heights[Math.Min(bins - 1, (int)((Math.Log((double)cycles / least) / Math.Log(ratio)) + 1e-9))] += count;
            figure = figure.Add(new BarTrace(name, names, heights) { IsHistogram = true });
        }

        return figure;
    }

    internal static HtmlFragment Of(StallRecord stalls)
    {
        var figure = stalls.Plot();
        var table = new DataTable(["phase", "who", "stalls", "least", "median", "99 %", "most"],
        [
            .. stalls.Series.Select(series => (string[])
            [
                series.Phase, Who(series.Kind), Count(series.Count), Show(series.Quantile(0)), Show(series.Quantile(0.5)), Show(series.Quantile(0.99)), Show(series.Quantile(1)),
            ]),
        ])
        { Numeric = [false, false, true, true, true, true, true] };
        var view = new ViewBuilder();
        if (figure.Traces.Count > 0) view.Part(FigureHtml.Of(figure.ToSvg(), figure.Caption, null), $"{figure.Title}. {figure.Caption}");
        return view.Table(table).Build() with { Picture = figure.Traces.Count > 0 ? figure.Picture : null };

        string Show(long cycles) => Duration.Show(stalls.Costs.SecondsOf(cycles));
    }

    private static string Caption(StallRecord stalls)
        => $"{Plural(stalls.Series.Sum(series => series.Count), "stall")}: a target's is its IPI handler with entry and return, the sender's lasts until all have answered, and int3 is met on the way through a site.";

    /// <summary>A series for each phase and kind; where that would be too many to tell apart, one for each kind.</summary>
    private static IReadOnlyList<(string Name, IReadOnlyDictionary<long, long> Counts)> Series(StallRecord stalls)
        => stalls.Series.Count <= SeriesMax
            ? [.. stalls.Series.Select(series => ($"{Who(series.Kind)}{(series.Phase.Length > 0 ? $", {series.Phase}" : "")}", series.CountByCycles))]
            : [.. stalls.Series.GroupBy(series => series.Kind).Select(group => (Who(group.Key), Sum(group)))];

    private static IReadOnlyDictionary<long, long> Sum(IEnumerable<StallSeries> group)
        => group.SelectMany(series => series.CountByCycles).GroupBy(each => each.Key).ToDictionary(each => each.Key, each => each.Sum(one => one.Value));

    private static string Who(StallKind kind) => kind switch { StallKind.Sender => "sender", StallKind.Target => "target", _ => "int3" };
}
