using System.Globalization;
using LivePatchLab.Experiments;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A sweep: a row for each run, or for each set of runs that only their seeds tell apart, and first of all whether every one was good.</summary>
internal static class SweepView
{
    private const int RowsMax = 60;

    /// <summary>A longer table stands in a box of its own, that the page need not show whole.</summary>
    private const int OpenRowsMax = 12;

    public static HtmlFragment Of(SweepResult sweep)
    {
        var bad = sweep.Runs.Where(run => !run.IsGood).ToArray();
        var view = new ViewBuilder().Headline("sweep", $": {Plural(sweep.Runs.Count, "run")}, costs {sweep.Spec.Costs}, fetch {sweep.Spec.Fetch}, workload {sweep.Runs[0].Workload}, {(sweep.Spec.Seeds.Count == 1 ? $"seed {sweep.Spec.Seeds[0]}" : Plural(sweep.Spec.Seeds.Count, "seed"))}");
        if (sweep.Interruption is { } interruption)
            view.Alarm($"{interruption}; the others are not in what follows");
        if (bad.Length > 0)
            view.Alarm($"{Plural(bad.Length, "run")} ended badly; the first: {bad[0].Engine}, {bad[0].Sites} sites, {bad[0].Cpus} CPUs, seed {bad[0].Seed}: {PatchRunView.Problem(bad[0])}");
        var figure = FigureOf(sweep);
        if (figure is not null)
            view.Part(FigureHtml.Of(figure.ToSvg(), figure.FullCaption, null), figure.Title);
        var table = (sweep.Spec.Seeds.Count > 1 ? BySeeds(sweep) : Singles(sweep)) with { IsSortable = true };
        view = table.Rows.Count <= OpenRowsMax
            ? view.Table(table)
            : view.Part($"<details class=\"{Figure.DataClass}\" open><summary style=\"{HtmlText.SummaryStyle}\">{table.Rows.Count} rows</summary>{table.ToHtml()}</details>", $"\n{table}");
        return view.Build() with { Picture = figure?.Picture };
    }

    /// <summary>The simulated time over what varies most; null for a sweep of one point.</summary>
    private static Figure? FigureOf(SweepResult sweep)
    {
        var (sites, cpus) = (sweep.Spec.Sites.Distinct().ToArray(), sweep.Spec.Cpus.Distinct().ToArray());
        if (sites.Length > 1 && sites.Length >= cpus.Length)
            return sweep.Plot("sites", log: IsWide(sites));
        if (cpus.Length > 1)
            return sweep.Plot("cpus", log: IsWide(cpus));
        return sweep.Spec.Engines.Distinct().Count() > 1 ? sweep.Plot("engine", by: "cpus") : null;

        static bool IsWide(int[] values) => values.Max() >= 20 * values.Min();
    }

    private static DataTable Singles(SweepResult sweep) => Cut(
        ["engine", "sites", "CPUs", "syncs", "IPIs per CPU", "int3 hits", "simulated"],
        [
            .. sweep.Runs.Select(run => (string[])
            [
                run.Engine, Count(run.Sites), Count(run.Cpus), Count(run.SyncRounds), Real(run.IpisPerCpu), Count(run.Int3Hits), Duration.Show(run.SimulatedSeconds),
            ]),
        ]);

    /// <summary>One row for all seeds together: nobody reads sixty rows that differ by chance only.</summary>
    private static DataTable BySeeds(SweepResult sweep) => Cut(
        ["engine", "sites", "CPUs", "syncs", "IPIs per CPU", "int3 hits: median", "simulated: median", "least", "most"],
        [
            .. sweep.Runs.GroupBy(run => (run.Engine, run.Sites, run.Cpus)).Select(group =>
            {
                var hits = group.Select(run => run.Int3Hits).Order().ToArray();
                var seconds = group.Select(run => run.SimulatedSeconds).Order().ToArray();
                return (string[])
                [
                    group.Key.Engine, Count(group.Key.Sites), Count(group.Key.Cpus), Range(group.Select(run => (double)run.SyncRounds)), Range(group.Select(run => run.IpisPerCpu)),
                    Count(hits[hits.Length / 2]), Duration.Show(seconds[seconds.Length / 2]), Duration.Show(seconds[0]), Duration.Show(seconds[^1]),
                ];
            }),
        ]);

    private static DataTable Cut(string[] columns, string[][] rows) => new(columns, [.. rows.Take(RowsMax)])
    {
        Numeric = [false, .. Enumerable.Repeat(true, columns.Length - 1)],
        Remainder = rows.Length > RowsMax ? $"… and {rows.Length - RowsMax} more" : "",
    };

    private static string Range(IEnumerable<double> values)
    {
        var (least, most) = (values.Min(), values.Max());
        return least == most ? Real(least) : $"{Real(least)} to {Real(most)}";
    }

    private static string Real(double value) => value.ToString("#,0.#", CultureInfo.InvariantCulture);
}
