using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>A figure as plotly.js takes it. No fonts and no colours of the page are fixed, so that it can follow a light or a dark one.</summary>
internal static class PlotlySpecification
{
    public static JsonObject Of(Figure figure) => new()
    {
        ["data"] = new JsonArray([.. figure.Traces.Select((trace, i) => (JsonNode)Trace(figure, trace, i))]),
        ["layout"] = new JsonObject
        {
            ["title"] = new JsonObject { ["text"] = Markup(figure.Title) },
            ["xaxis"] = figure.Traces.Any(trace => trace is PointTrace)
                ? Axis(figure.XAxis, figure.Traces.OfType<PointTrace>().SelectMany(trace => trace.X))
                : CategoryAxis(figure.XAxis),
            ["yaxis"] = YAxis(figure),
            ["showlegend"] = figure.Traces.Count > 1,
            ["legend"] = new JsonObject { ["orientation"] = "h", ["x"] = 0, ["y"] = 1.02, ["yanchor"] = "bottom" },
            ["height"] = 460,
            ["margin"] = new JsonObject { ["t"] = 70 + (22 * ((figure.Traces.Count + 3) / 4)), ["r"] = 30 },
        },
    };

    private static JsonObject Trace(Figure figure, Trace trace, int i) => trace switch
    {
        PointTrace points => Points(figure, points, i),
        BarTrace bars => new JsonObject
        {
            ["type"] = "bar",
            ["name"] = Markup(trace.Name),
            ["x"] = Texts(bars.Categories),
            ["y"] = Numbers(bars.Y, figure.YAxis),
            ["marker"] = new JsonObject { ["color"] = TraceStyle.Colour(i) },
        },
        HeatmapTrace map => new JsonObject
        {
            ["type"] = "heatmap",
            ["name"] = Markup(trace.Name),
            ["x"] = Texts(map.Columns),
            ["y"] = Texts(map.Rows),
            ["z"] = new JsonArray([.. map.Values.Select(row => (JsonNode)Numbers(row, new("")))]),
            ["colorscale"] = new JsonArray(new JsonArray(0, FigureDrawing.Shade(0)), new JsonArray(1, FigureDrawing.Shade(1))),
            ["xgap"] = 1,
            ["ygap"] = 1,
            ["texttemplate"] = "%{z:.3~s}",
        },
        _ => throw new ArgumentException($"{trace.GetType().Name} cannot be drawn", nameof(trace)),
    };

    private static JsonObject Points(Figure figure, PointTrace points, int i)
    {
        var node = new JsonObject
        {
            ["type"] = "scatter",
            ["name"] = Markup(points.Name),
            ["mode"] = points.Joined ? "lines+markers" : "markers",
            ["x"] = Numbers(points.X, figure.XAxis),
            ["y"] = Numbers(points.Y, figure.YAxis),
            ["line"] = new JsonObject { ["color"] = TraceStyle.Colour(i), ["dash"] = TraceStyle.PlotlyDash(i), ["width"] = 2 },
            ["marker"] = new JsonObject { ["color"] = TraceStyle.Colour(i), ["symbol"] = TraceStyle.Symbol(i), ["size"] = 8 },
        };
        if (points.Low is not null && points.High is not null)
        {
            node["error_y"] = new JsonObject
            {
                ["type"] = "data",
                ["symmetric"] = false,
                ["array"] = Numbers([.. points.High.Zip(points.Y, (high, y) => high - y)], new("")),
                ["arrayminus"] = Numbers([.. points.Y.Zip(points.Low, (y, low) => y - low)], new("")),
            };
        }
        return node;
    }

    private static JsonObject YAxis(Figure figure)
    {
        if (!figure.Traces.Any(trace => trace is HeatmapTrace))
            return Axis(figure.YAxis, figure.Traces.SelectMany(trace => trace switch { PointTrace points => points.Y, BarTrace bars => bars.Y, _ => [] }));
        var node = CategoryAxis(figure.YAxis);
        // Plotly draws the first row of a heat map at the bottom; ours is at the top, as in a table.
        node["autorange"] = "reversed";
        return node;
    }

    private static JsonObject CategoryAxis(Axis axis) => new()
    {
        ["title"] = new JsonObject { ["text"] = Markup(axis.FullTitle), ["standoff"] = 12 },
        ["automargin"] = true,
        ["type"] = "category",
    };

    private static JsonObject Axis(Axis axis, IEnumerable<double> values)
    {
        var node = CategoryAxis(axis);
        node["type"] = axis.Scale == Scale.Log ? "log" : "linear";
        node["tickformat"] = "~s";
        if (axis.Scale == Scale.Log)
        {
            // Digits 2 and 5 only where there is room for them between the decades.
            var held = values.Where(axis.Holds).ToArray();
            node["dtick"] = held.Length > 0 && held.Max() / held.Min() > 100 ? 1 : "D2";
        }
        if (axis.HasPrefixes)
            node["ticksuffix"] = axis.Unit;
        return node;
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)Markup(text))]);

    private static JsonArray Numbers(IEnumerable<double> values, Axis axis) => new([.. values.Select(value => axis.Holds(value) ? JsonValue.Create(value) : null)]);

    // Plotly reads some HTML in its texts; a name from a user or a guest must stay the characters that it is.
    private static string Markup(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);
}
