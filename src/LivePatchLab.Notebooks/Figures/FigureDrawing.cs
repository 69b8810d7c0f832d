using System.Globalization;
using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Draws a figure as SVG.</summary>
internal sealed class FigureDrawing(Figure figure)
{
    private const double Width = SvgCanvas.Width;
    private const double PlotHeight = 320;
    private const double RightMargin = 28;
    private const double CharacterWidth = SvgCanvas.CharacterWidth;
    private const double LegendRow = 20;
    private const int CategoryLengthMax = 28;

    private readonly SvgCanvas _svg = new();
    private double _left;
    private double _top;
    private double _right;
    private double _bottom;

    public string Draw()
    {
        var content = figure.Traces.Count > 0 ? figure.Traces[0] : null;
        var height = content switch
        {
            HeatmapTrace map => DrawHeatmap(map),
            BarTrace => DrawBars([.. figure.Traces.Cast<BarTrace>()]),
            _ => DrawPoints([.. figure.Traces.Cast<PointTrace>()]),
        };
        return _svg.ToSvg(height, figure.FullCaption.Length == 0 ? figure.Title : $"{figure.Title}. {figure.FullCaption}");
    }

    private double DrawPoints(PointTrace[] traces)
    {
        var x = new AxisTicks(figure.XAxis, traces.SelectMany(trace => trace.X));
        var y = new AxisTicks(figure.YAxis, traces.SelectMany(trace => trace.Y.Concat(trace.Low ?? []).Concat(trace.High ?? [])));
        Frame(y, [.. traces.Select(trace => trace.Name)], bars: false);
        var last = double.NegativeInfinity;
        foreach (var tick in x.Values)
        {
            var at = _left + (x.Place(tick) * (_right - _left));
            _svg.Line(at, _top, at, _bottom, "stroke=\"currentColor\" stroke-opacity=\"0.15\"");
            _svg.Line(at, _bottom, at, _bottom + 5, "stroke=\"currentColor\"");
            var half = x.Label(tick).Length * CharacterWidth / 2;
            if (at - half < last + 6)
                continue;
            _svg.Text(at, _bottom + 19, x.Label(tick), "text-anchor=\"middle\"");
            last = at + half;
        }
        for (var i = 0; i < traces.Length; i++)
            Series(traces[i], i, x, y);
        return XTitle(_bottom + 24);
    }

    private void Series(PointTrace trace, int series, AxisTicks x, AxisTicks y)
    {
        double AtX(double value) => _left + (x.Place(value) * (_right - _left));
        double AtY(double value) => _bottom - (y.Place(value) * (_bottom - _top));
        var places = trace.X.Zip(trace.Y, (px, py) => (X: px, Y: py)).Index().Where(point => figure.XAxis.Holds(point.Item.X) && figure.YAxis.Holds(point.Item.Y))
            .Select(point => (point.Index, X: AtX(point.Item.X), Y: AtY(point.Item.Y))).ToArray();
        if (trace.Joined && places.Length > 1)
        {
            var path = new StringBuilder();
            foreach (var (i, (_, px, py)) in places.Index())
                path.Append(CultureInfo.InvariantCulture, $"{(i == 0 ? 'M' : 'L')}{px:0.##},{py:0.##}");
            _svg.Append($"<path d=\"{path}\" fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke=\"{TraceStyle.Colour(series)}\"{Dash(series)}/>");
        }
        foreach (var (index, px, py) in places)
        {
            if (trace.Low is not null && trace.High is not null && figure.YAxis.Holds(trace.Low[index]) && figure.YAxis.Holds(trace.High[index]))
            {
                var (low, high) = (AtY(trace.Low[index]), AtY(trace.High[index]));
                var stroke = $"stroke=\"{TraceStyle.Colour(series)}\" stroke-width=\"1.5\"";
                _svg.Line(px, low, px, high, stroke);
                _svg.Line(px - 4, low, px + 4, low, stroke);
                _svg.Line(px - 4, high, px + 4, high, stroke);
            }
            _svg.Append(TraceStyle.Marker(series, px, py));
        }
    }

    private double DrawBars(BarTrace[] traces)
    {
        var categories = traces.SelectMany(trace => trace.Categories).Distinct(StringComparer.Ordinal).ToList();
        var y = new AxisTicks(figure.YAxis, traces.SelectMany(trace => trace.Y), fromZero: true);
        Frame(y, [.. traces.Select(trace => trace.Name)], bars: true);
        var band = (_right - _left) / Math.Max(1, categories.Count);
        var bar = band * 0.8 / traces.Length;
        var zero = figure.YAxis.Scale == Scale.Log ? _bottom : _bottom - (y.Place(0) * (_bottom - _top));
        var labelled = bar >= 4.5 * CharacterWidth;
        for (var i = 0; i < traces.Length; i++)
        {
            for (var j = 0; j < traces[i].Y.Count; j++)
            {
                var value = traces[i].Y[j];
                if (!figure.YAxis.Holds(value))
                    continue;
                var x = _left + (band * (categories.IndexOf(traces[i].Categories[j]) + 0.1)) + (bar * i);
                var end = _bottom - (y.Place(value) * (_bottom - _top));
                _svg.Rectangle(x, Math.Min(end, zero), bar - 1, Math.Abs(zero - end), $"fill=\"{TraceStyle.Colour(i)}\"");
                if (labelled && !(value == 0 && traces[i].IsHistogram))
                    _svg.Text(x + (bar / 2), value >= 0 ? end - 4 : end + 13, AxisTicks.Readable(value, figure.YAxis.HasPrefixes ? figure.YAxis.Unit : ""), "text-anchor=\"middle\" font-size=\"11\"");
            }
        }
        _svg.Line(_left, zero, _right, zero, "stroke=\"currentColor\"");
        return XTitle(Categories(categories, band));
    }

    private double DrawHeatmap(HeatmapTrace map)
    {
        const double RowHeight = 30;
        Heading([], bars: false);
        var rows = map.Rows.Select(Short).ToArray();
        _left = 34 + (rows.Select(row => row.Length).DefaultIfEmpty(0).Max() * CharacterWidth);
        (_right, _bottom) = (Width - RightMargin, _top + (RowHeight * Math.Max(1, rows.Length)));
        var band = (_right - _left) / Math.Max(1, map.Columns.Count);
        var finite = map.Values.SelectMany(row => row).Where(double.IsFinite).ToArray();
        var (least, most) = finite.Length == 0 ? (0, 1) : (finite.Min(), finite.Max());
        for (var i = 0; i < rows.Length; i++)
        {
            _svg.Text(_left - 8, _top + (RowHeight * (i + 0.5)) + 4, rows[i], "text-anchor=\"end\"");
            for (var j = 0; j < map.Columns.Count; j++)
            {
                var value = map.Values[i][j];
                if (!double.IsFinite(value))
                    continue;
                var depth = most > least ? (value - least) / (most - least) : 0.5;
                _svg.Rectangle(_left + (band * j), _top + (RowHeight * i), band - 1, RowHeight - 1, $"fill=\"{Shade(depth)}\"");
                var label = AxisTicks.Readable(value, "");
                if (label.Length * CharacterWidth > band - 6) continue;
                _svg.Text(_left + (band * (j + 0.5)), _top + (RowHeight * (i + 0.5)) + 4, label, $"text-anchor=\"middle\" fill=\"{(depth > 0.45 ? "#ffffff" : "#000000")}\"");
            }
        }
        YTitle();
        return XTitle(Categories(map.Columns, band));
    }

    /// <summary>From nearly white to dark blue: one hue, so that lightness alone carries the value.</summary>
    public static string Shade(double depth)
        => string.Create(CultureInfo.InvariantCulture, $"#{Mix(0xef, 0x08, depth):x2}{Mix(0xf3, 0x30, depth):x2}{Mix(0xff, 0x6b, depth):x2}");

    private static int Mix(int from, int to, double part) => (int)Math.Round(from + ((to - from) * part));

    /// <summary>Title, legend, y axis and the frame of the plot.</summary>
    private void Frame(AxisTicks y, string[] names, bool bars)
    {
        Heading(names, bars);
        var labels = y.Values.Select(y.Label).ToArray();
        _left = 36 + (labels.Max(label => label.Length) * CharacterWidth);
        (_right, _bottom) = (Width - RightMargin, _top + PlotHeight);
        foreach (var (tick, label) in y.Values.Zip(labels))
        {
            var at = _bottom - (y.Place(tick) * (_bottom - _top));
            _svg.Line(_left, at, _right, at, "stroke=\"currentColor\" stroke-opacity=\"0.15\"");
            _svg.Line(_left - 5, at, _left, at, "stroke=\"currentColor\"");
            _svg.Text(_left - 9, at + 4, label, "text-anchor=\"end\"");
        }
        _svg.Line(_left, _top, _left, _bottom, "stroke=\"currentColor\"");
        if (!bars)
            _svg.Line(_left, _bottom, _right, _bottom, "stroke=\"currentColor\"");
        YTitle();
    }

    private void YTitle()
    {
        var middle = (_top + _bottom) / 2;
        _svg.Text(14, middle, figure.YAxis.FullTitle, string.Create(CultureInfo.InvariantCulture, $"text-anchor=\"middle\" transform=\"rotate(-90 14 {middle:0.##})\""));
    }

    private void Heading(string[] names, bool bars)
    {
        _svg.Title(figure.Title);
        _top = 44;
        // One series needs no legend: the title says what it is.
        if (names.Length < 2)
            return;
        var x = 36.0;
        for (var i = 0; i < names.Length; i++)
        {
            var width = 44 + (names[i].Length * CharacterWidth);
            if (x > 36 && x + width > Width - RightMargin)
                (x, _top) = (36, _top + LegendRow);
            if (bars)
            {
                _svg.Rectangle(x + 12, _top - 7, 12, 12, $"fill=\"{TraceStyle.Colour(i)}\"");
            }
            else
            {
                if (figure.Traces[i] is PointTrace { Joined: true })
                    _svg.Line(x, _top, x + 26, _top, $"stroke=\"{TraceStyle.Colour(i)}\" stroke-width=\"2\"{Dash(i)}");
                _svg.Append(TraceStyle.Marker(i, x + 13, _top));
            }
            _svg.Text(x + 31, _top + 4, names[i], "");
            x += width;
        }
        _top += LegendRow;
    }

    /// <summary>Names under their bands, slanted when they would touch, and only some of them where the bands are narrower than a line of text; returns how far down they reach.</summary>
    private double Categories(IReadOnlyList<string> names, double band)
    {
        var shortened = names.Select(Short).ToArray();
        var longest = shortened.Select(name => name.Length).DefaultIfEmpty(0).Max() * CharacterWidth;
        var step = (int)Math.Ceiling(LegendRow / Math.Max(1, band));
        var slanted = longest > (band * step) - 6;
        for (var i = 0; i < shortened.Length; i += step)
        {
            var x = _left + (band * (i + 0.5));
            if (slanted)
                _svg.Text(x + 4, _bottom + 14, shortened[i], string.Create(CultureInfo.InvariantCulture, $"text-anchor=\"end\" transform=\"rotate(-35 {x + 4:0.##} {_bottom + 14:0.##})\""));
            else
                _svg.Text(x, _bottom + 19, shortened[i], "text-anchor=\"middle\"");
        }
        return _bottom + (slanted ? 20 + (longest * 0.58) : 24);
    }

    private double XTitle(double from)
    {
        if (figure.XAxis.FullTitle.Length == 0)
            return from + 8;
        _svg.Text((_left + _right) / 2, from + 16, figure.XAxis.FullTitle, "text-anchor=\"middle\"");
        return from + 28;
    }

    private static string Short(string name) => name.Length <= CategoryLengthMax ? name : name[..(CategoryLengthMax - 1)] + "…";

    private static string Dash(int series) => TraceStyle.Dash(series) is { Length: > 0 } dash ? $" stroke-dasharray=\"{dash}\"" : "";
}
