using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks;

/// <summary>One number that a patch run gives.</summary>
/// <param name="Name">As in the JSON of a run.</param>
/// <param name="Title">For an axis.</param>
/// <param name="Unit">For an axis; empty for a count.</param>
/// <param name="Of">Reads it.</param>
public sealed record SweepOutput(string Name, string Title, string Unit, Func<PatchRun, double> Of);

/// <summary>Figures of sweeps.</summary>
public static class SweepPlot
{
    /// <summary>What a sweep varies.</summary>
    public static IReadOnlyList<string> Inputs { get; } = ["engine", "sites", "cpus", "seed"];

    /// <summary>What its runs give.</summary>
    public static IReadOnlyList<SweepOutput> Outputs { get; } =
    [
        new("syncRounds", "synchronisations", "", run => run.SyncRounds),
        new("ipis", "IPIs sent", "", run => run.Ipis),
        new("ipisPerCpu", "IPIs a CPU takes", "", run => run.IpisPerCpu),
        new("int3Hits", "int3 hits", "", run => run.Int3Hits),
        new("bytesWritten", "bytes of text written", "B", run => run.BytesWritten),
        new("simulatedSeconds", "simulated time", "s", run => run.SimulatedSeconds),
    ];

    /// <summary>One quantity of a sweep's runs over another.</summary>
    /// <param name="sweep">The sweep.</param>
    /// <param name="x">What goes along the x axis: sites, cpus or seed, as numbers, or engine, as bars.</param>
    /// <param name="y">A name of <see cref="Outputs"/>.</param>
    /// <param name="by">A line for each value of it.</param>
    /// <param name="log">Both axes logarithmic.</param>
    /// <exception cref="BadInputException">There is no such quantity.</exception>
    public static Figure Plot(this SweepResult sweep, string x = "sites", string y = "simulatedSeconds", string by = "engine", bool log = false)
    {
        Suggestion.Find(Inputs, name => name, x, "input of a sweep");
        Suggestion.Find(Inputs, name => name, by, "input of a sweep");
        var output = Suggestion.Find(Outputs, o => o.Name, y, "quantity of a run");
        if (x == by)
            throw new BadInputException($"{x} is on the x axis; take another input for the lines ({string.Join(", ", Inputs.Where(name => name != x))})");

        // What varies beside x and the lines gets lines of its own; only seeds are drawn together, as a range.
        var others = Inputs.Where(name => name != x && name != by && name != "seed" && sweep.Runs.Select(run => Text(run, name)).Distinct().Count() > 1).ToArray();
        var scale = log ? Scale.Log : Scale.Linear;
        var figure = new Figure($"{Sentence(output.Title)} by {Word(x)}").X(Word(x), "", scale).Y(output.Title, output.Unit, scale).Says(Caption(sweep, x, by, others));
        foreach (var series in sweep.Runs.GroupBy(run => string.Join(", ", others.Prepend(by).Select(name => Label(run, name)))))
        {
            if (x == "engine")
                figure = figure.Bars(series.Key, series.GroupBy(run => run.Engine).Select(point => (point.Key, Median(point, output))));
            else if (series.GroupBy(run => Value(run, x)).All(point => point.Count() == 1))
                figure = figure.Line(series.Key, series.Select(run => (Value(run, x), output.Of(run))).OrderBy(point => point.Item1));
            else
                figure = figure.Range(series.Key, series.GroupBy(run => Value(run, x)).OrderBy(point => point.Key)
                    .Select(point => (point.Key, point.Min(output.Of), Median(point, output), point.Max(output.Of))));
        }
        return x == "engine" ? figure.X("protocol") : figure;
    }

    private static double Median(IEnumerable<PatchRun> runs, SweepOutput output)
    {
        var sorted = runs.Select(output.Of).Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Caption(SweepResult sweep, string x, string by, string[] others)
    {
        var fixedInputs = Inputs.Except([x, by, .. others, "seed"]).Select(name => Label(sweep.Runs[0], name));
        var seeds = sweep.Spec.Seeds.Count == 1 ? $"seed {sweep.Spec.Seeds[0]}" : $"{sweep.Spec.Seeds.Count} seeds: median, least and most";
        var caption = $"{string.Join("; ", fixedInputs.Append($"costs {sweep.Spec.Costs}").Append($"fetch {sweep.Spec.Fetch}").Append($"workload {sweep.Runs[0].Workload}").Append(seeds))}.";
        return sweep.Interruption is { } interruption ? $"{caption} Not all of the sweep: {interruption}." : caption;
    }

    private static double Value(PatchRun run, string input) => input switch
    {
        "sites" => run.Sites,
        "cpus" => run.Cpus,
        _ => run.Seed.Value,
    };

    private static string Text(PatchRun run, string input) => input == "engine" ? run.Engine : Value(run, input).ToString(CultureInfo.InvariantCulture);

    private static string Label(PatchRun run, string input) => input switch
    {
        "engine" => run.Engine,
        "sites" => string.Create(CultureInfo.InvariantCulture, $"{run.Sites:N0} {(run.Sites == 1 ? "site" : "sites")}"),
        "cpus" => string.Create(CultureInfo.InvariantCulture, $"{run.Cpus} {(run.Cpus == 1 ? "CPU" : "CPUs")}"),
        _ => $"seed {run.Seed}",
    };

    private static string Word(string input) => input switch { "cpus" => "CPUs", "engine" => "protocol", _ => input };

    private static string Sentence(string title) => char.ToUpperInvariant(title[0]) + title[1..];
}
