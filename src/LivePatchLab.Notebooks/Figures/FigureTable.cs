using System.Globalization;

namespace LivePatchLab.Notebooks;

/// <summary>A figure's data as a table: one row for each x, one column for each series.</summary>
internal static class FigureTable
{
    public static DataTable Of(Figure figure, int rowsMax)
    {
        if (figure.Traces.Count == 0)
            return new([Name(figure.XAxis, "x"), Name(figure.YAxis, "y")], []);
        var (columns, rows, texts) = figure.Traces[0] switch
        {
            HeatmapTrace map => ([Name(figure.YAxis, ""), .. map.Columns], [.. map.Rows.Select((row, i) => (string[])[row, .. map.Values[i].Select(Text)])], 1),
            BarTrace => Bars(figure),
            _ when figure.Traces.OfType<PointTrace>().Any(points => points.X.Distinct().Count() < points.X.Count) => Long(figure),
            _ => Wide(figure),
        };
        return new DataTable(columns, [.. rows.Take(rowsMax)])
        {
            Numeric = [.. columns.Select((_, i) => i >= texts)],
            Remainder = rows.Count > rowsMax ? $"… and {rows.Count - rowsMax} more" : "",
        };
    }

    private static (string[] Columns, List<string[]> Rows, int Texts) Bars(Figure figure)
    {
        var bars = figure.Traces.Cast<BarTrace>().ToArray();
        var categories = bars.SelectMany(trace => trace.Categories).Distinct(StringComparer.Ordinal);
        return ([Name(figure.XAxis, ""), .. bars.Select(trace => Column(trace.Name, figure))],
            [.. categories.Select(category => (string[])[category, .. bars.Select(trace => At(trace, category))])], 1);

        static string At(BarTrace trace, string category)
        {
            var index = trace.Categories.ToList().IndexOf(category);
            return index < 0 ? "" : Text(trace.Y[index]);
        }
    }

    private static (string[] Columns, List<string[]> Rows, int Texts) Wide(Figure figure)
    {
        var columns = new List<string> { Name(figure.XAxis, "x") };
        var values = new List<Dictionary<double, double>>();
        foreach (var trace in figure.Traces.Cast<PointTrace>())
        {
            foreach (var (suffix, list) in new[] { ("", trace.Y), (" low", trace.Low), (" high", trace.High) })
            {
                if (list is null)
                    continue;
                columns.Add(Column(trace.Name + suffix, figure));
                values.Add(trace.X.Zip(list).ToDictionary(pair => pair.First, pair => pair.Second));
            }
        }
        var xs = values.SelectMany(column => column.Keys).Distinct().Order();
        return ([.. columns], [.. xs.Select(x => (string[])[Text(x), .. values.Select(column => column.TryGetValue(x, out var y) ? Text(y) : "")])], 0);
    }

    private static (string[] Columns, List<string[]> Rows, int Texts) Long(Figure figure)
        => (["series", Name(figure.XAxis, "x"), Name(figure.YAxis, "y")],
            [.. figure.Traces.Cast<PointTrace>().SelectMany(trace => trace.X.Zip(trace.Y, (x, y) => (string[])[trace.Name, Text(x), Text(y)]))], 1);

    private static string Text(double value) => double.IsNaN(value) ? "" : value.ToString("G7", CultureInfo.InvariantCulture);

    private static string Name(Axis axis, string otherwise)
    {
        var title = axis.Title.Length == 0 ? otherwise : axis.Title;
        return axis.Unit.Length == 0 ? title : $"{title} ({axis.Unit})";
    }

    // The unit of y stands in the column's head, since a table has no second axis to say it.
    private static string Column(string trace, Figure figure) => figure.YAxis.Unit.Length == 0 ? trace : $"{trace} ({figure.YAxis.Unit})";
}
