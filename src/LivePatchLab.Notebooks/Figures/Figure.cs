using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A plot: a Plotly specification for readers with scripts, and the same drawn as SVG with its table for all others. Immutable: every call gives a new figure.
/// </summary>
[TypeFormatterSource(typeof(FigureFormatterSource), PreferredMimeTypes = [MimeBundle.Html, MimeBundle.Plain])]
public sealed record Figure(string Title) : IPictured
{
    private const int PlainRowsMax = 20;
    private const int HtmlRowsMax = 200;

    /// <summary>The class of the table's <c>details</c> element, which pages open for printing.</summary>
    internal const string DataClass = "livepatch-data";

    public Axis XAxis { get; init; } = new("");

    public Axis YAxis { get; init; } = new("");

    /// <summary>What is to be seen, in plain words: it stands under the plot and is what a screen reader says.</summary>
    public string Caption { get; init; } = "";

    public IReadOnlyList<Trace> Traces { get; init; } = [];

    public Figure X(string title, string unit = "", Scale scale = Scale.Linear) => this with { XAxis = new(title, unit, scale) };

    public Figure Y(string title, string unit = "", Scale scale = Scale.Linear) => this with { YAxis = new(title, unit, scale) };

    public Figure Says(string caption) => this with { Caption = caption };

    public Figure Line(string name, IEnumerable<double> x, IEnumerable<double> y) => Add(new PointTrace(name, [.. x], [.. y]));

    public Figure Line(string name, IEnumerable<(double X, double Y)> points) => Line(name, points.Select(point => point.X), points.Select(point => point.Y));

    /// <summary>A line with a bar from low to high at each point.</summary>
    public Figure Range(string name, IEnumerable<(double X, double Low, double Y, double High)> points)
    {
        var all = points.ToArray();
        return Add(new PointTrace(name, [.. all.Select(point => point.X)], [.. all.Select(point => point.Y)])
        {
            Low = [.. all.Select(point => point.Low)],
            High = [.. all.Select(point => point.High)],
        });
    }

    public Figure Points(string name, IEnumerable<(double X, double Y)> points)
    {
        var all = points.ToArray();
        return Add(new PointTrace(name, [.. all.Select(point => point.X)], [.. all.Select(point => point.Y)]) { Joined = false });
    }

    public Figure Bars(string name, IEnumerable<(string Category, double Y)> bars)
    {
        var all = bars.ToArray();
        return Add(new BarTrace(name, [.. all.Select(bar => bar.Category)], [.. all.Select(bar => bar.Y)]));
    }

    public Figure Heatmap(string name, IEnumerable<string> columns, IEnumerable<string> rows, IEnumerable<IEnumerable<double>> values)
        => Add(new HeatmapTrace(name, [.. columns], [.. rows], [.. values.Select(row => row.ToArray())]));

    /// <exception cref="ArgumentException">The series does not fit: lengths differ, or kinds would be mixed.</exception>
    public Figure Add(Trace trace)
    {
        var fits = trace switch
        {
            PointTrace points => points.X.Count == points.Y.Count && (points.Low?.Count ?? points.X.Count) == points.X.Count && points.Low?.Count == points.High?.Count,
            BarTrace bars => bars.Categories.Count == bars.Y.Count,
            HeatmapTrace map => map.Values.Count == map.Rows.Count && map.Values.All(row => row.Count == map.Columns.Count),
            _ => false,
        };
        if (!fits)
            throw new ArgumentException($"series '{trace.Name}': its lists differ in length", nameof(trace));
        if (Traces.Count > 0 && (Traces[0].GetType() != trace.GetType() || trace is HeatmapTrace))
            throw new ArgumentException($"series '{trace.Name}': points, bars and a heat map cannot share one figure", nameof(trace));
        return this with { Traces = [.. Traces, trace] };
    }

    /// <summary>Data and layout, as plotly.js takes them.</summary>
    public JsonObject ToPlotly() => PlotlySpecification.Of(this);

    /// <summary>The static form: 800 pixels wide, no script, no style sheet, colours that follow the page's text colour.</summary>
    public string ToSvg() => new FigureDrawing(this).Draw();

    /// <summary>The static form, for an image of it.</summary>
    public Picture Picture => new(ToSvg(), FullCaption.Length == 0 ? Title : $"{Title}. {FullCaption}");

    public DataTable ToTable(int rowsMax = int.MaxValue) => FigureTable.Of(this, rowsMax);

    public string ToHtml() => FigureHtml.Of(ToSvg(), FullCaption, ToTable(HtmlRowsMax));

    Picture? IPictured.Picture => Traces.Count == 0 ? null : Picture;

    public override string ToString() => $"{Title}\n{(FullCaption.Length == 0 ? "" : FullCaption + "\n")}\n{ToTable(PlainRowsMax)}";

    /// <summary>The caption, and a word on values that the axes cannot show.</summary>
    internal string FullCaption
    {
        get
        {
            var lost = Traces.Sum(trace => trace switch
            {
                PointTrace points => points.X.Zip(points.Y).Count(point => !XAxis.Holds(point.First) || !YAxis.Holds(point.Second)),
                BarTrace bars => bars.Y.Count(y => !YAxis.Holds(y)),
                _ => 0,
            });
            var note = lost == 0 ? "" : $"{lost} {(lost == 1 ? "value has" : "values have")} no place on these axes and {(lost == 1 ? "stands" : "stand")} in the table only.";
            return $"{Caption} {note}".Trim();
        }
    }
}

/// <summary>The formatters of a figure: those of any view, and Plotly's JSON for hosts that draw it.</summary>
public sealed class FigureFormatterSource
{
    public IEnumerable<object> CreateTypeFormatters() => [.. new ViewFormatterSource().CreateTypeFormatters(), new PlotlyFormatter()];

    internal sealed class PlotlyFormatter
    {
        public string MimeType => MimeBundle.Plotly;

        public bool Format(object instance, TextWriter writer)
        {
            writer.Write(((Figure)instance).ToPlotly().ToJsonString());
            return true;
        }
    }
}
