using System.Globalization;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Notebooks.Tests;

public sealed class FigureTests
{
    public static TheoryData<string> Names => ["Syncs", "Hits", "Models", "Cpus", "Empty"];

    [Fact]
    public void The_Plotly_specification_is_this_one()
    {
        var figure = new Figure("T <i>").X("sites", scale: Scale.Log).Y("time", "s").Line("a", [(1, 0.5), (0, 2)]).Range("b", [(10, 1, 2, 4)]);
        JsonNode.DeepEquals(figure.ToPlotly(), JsonNode.Parse("""
            {
              "data": [
                {
                  "type": "scatter", "name": "a", "mode": "lines+markers", "x": [1, null], "y": [0.5, 2],
                  "line": { "color": "#0072B2", "dash": "solid", "width": 2 }, "marker": { "color": "#0072B2", "symbol": "circle", "size": 8 }
                },
                {
                  "type": "scatter", "name": "b", "mode": "lines+markers", "x": [10], "y": [2],
                  "line": { "color": "#D55E00", "dash": "8px,4px", "width": 2 }, "marker": { "color": "#D55E00", "symbol": "square", "size": 8 },
                  "error_y": { "type": "data", "symmetric": false, "array": [2], "arrayminus": [1] }
                }
              ],
              "layout": {
                "title": { "text": "T &lt;i&gt;" },
                "xaxis": { "title": { "text": "sites", "standoff": 12 }, "automargin": true, "type": "log", "tickformat": "~s", "dtick": "D2" },
                "yaxis": { "title": { "text": "time", "standoff": 12 }, "automargin": true, "type": "linear", "tickformat": "~s", "ticksuffix": "s" },
                "showlegend": true, "legend": { "orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom" }, "height": 460, "margin": { "t": 92, "r": 30 }
              }
            }
            """)).ShouldBeTrue(figure.ToPlotly().ToJsonString());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_form_is_well_formed_and_the_drawing_keeps_inside_its_edges(string name)
    {
        var bundle = Formatter.Bundle(Of(name));
        bundle.Select(form => form.Key).ShouldBe(["text/html", "text/plain", MimeBundle.Plotly]);
        var html = XElement.Parse(bundle.Text("text/html")!);
        html.Descendants().ShouldNotContain(element => element.Name.LocalName == "script" || element.Name.LocalName == "style");
        var svg = html.Descendants().Single(element => element.Name.LocalName == "svg");
        var (width, height) = (Number(svg, "width"), Number(svg, "height"));
        width.ShouldBe(800);
        foreach (var text in svg.Descendants().Where(element => element.Name.LocalName == "text" && element.Attribute("transform") is null))
        {
            var half = text.Value.Length * 6.2 * (text.Attribute("text-anchor")?.Value switch { "middle" => 0.5, "end" => 1, _ => 0 });
            (Number(text, "x") - half).ShouldBeGreaterThanOrEqualTo(0, text.ToString());
            Number(text, "y").ShouldBeLessThanOrEqualTo(height, text.ToString());
        }
        html.Descendants().ShouldContain(element => element.Name.LocalName == "table");
    }

    [Fact]
    public void Text_of_users_is_escaped_in_drawing_caption_and_table()
        => TestFigures.Hits.Says("<script>alert(1)</script>").ToHtml().ShouldNotContain("<script");

    [Fact]
    public void A_value_that_a_logarithmic_axis_cannot_hold_is_not_drawn_but_said_and_stands_in_the_table()
    {
        var figure = new Figure("T").Y("hits", scale: Scale.Log).Line("a", [(1, 0), (2, 10), (3, 100)]);
        figure.ToHtml().ShouldContain("1 value has no place on these axes and stands in the table only.");
        figure.ToSvg().Split("<circle").Length.ShouldBe(3);
        figure.ToTable().Rows.Select(row => string.Join(' ', row)).ShouldBe(["1 0", "2 10", "3 100"]);
    }

    [Fact]
    public void The_table_has_one_row_for_each_x_and_says_what_it_leaves_out()
    {
        TestFigures.Syncs.ToTable().Columns.ShouldBe(["patched sites", "text_poke_bp (s)", "text_poke_bp_list (s)", "stop_machine (s)", "stop_machine low (s)", "stop_machine high (s)"]);
        TestFigures.Syncs.ToTable().Rows[3].ShouldBe(["35051", "0.105", "0.0019", "0.003", "0.002", "0.008"]);
        TestFigures.Cpus.ToTable(10).Remainder.ShouldBe("… and 6 more");
        TestFigures.Models.ToTable().Rows[3].ShouldBe(["no sync at all", "0", "120", "410", "1000"]);
        new Figure("T").Points("a", [(1, 2), (1, 3)]).ToTable().Rows.Count.ShouldBe(2);
    }

    [Fact]
    public void Series_that_do_not_fit_are_refused()
    {
        Should.Throw<ArgumentException>(() => new Figure("T").Line("a", [1, 2], [1])).Message.ShouldContain("differ in length");
        Should.Throw<ArgumentException>(() => TestFigures.Cpus.Bars("b", [("x", 1)])).Message.ShouldContain("cannot share");
    }

    [Theory]
    [InlineData(1, 35_051, "1 10 100 1k 10k 100k")]
    [InlineData(3, 80, "2 5 10 20 50 100")]
    [InlineData(7, 7, "5 10")]
    [InlineData(10, 10, "10 20")]
    [InlineData(1, 1e17, "1 1k 1M 1G 1T 1000T")]
    public void Ticks_of_a_logarithmic_axis_are_decades_or_1_2_5(double least, double most, string labels)
        => Labels(new Axis("x", "", Scale.Log), least, most).ShouldBe(labels);

    [Theory]
    [InlineData(3e-6, 0.105, "s", "1 µs 10 µs 100 µs 1 ms 10 ms 100 ms 1 s")]
    [InlineData(2, 5, "B", "2 B 5 B")]
    public void Units_of_the_SI_wear_their_prefixes(double least, double most, string unit, string labels)
        => Labels(new Axis("x", unit, Scale.Log), least, most).ShouldBe(labels);

    [Theory]
    [InlineData(5_021, "", "5.02k")]
    [InlineData(999.9, "", "1k")]
    [InlineData(0.0019, "s", "1.9 ms")]
    [InlineData(-412, "", "-412")]
    [InlineData(0.0125, "", "0.013")]
    public void A_number_is_said_in_three_digits(double value, string unit, string text) => AxisTicks.Readable(value, unit).ShouldBe(text);

    [Theory]
    [InlineData(0, 1, "", "0 0.2 0.4 0.6 0.8 1")]
    [InlineData(-0.3, 0.3, "", "-0.3 -0.2 -0.1 0 0.1 0.2 0.3")]
    [InlineData(0, 18_300, "", "0 5k 10k 15k 20k")]
    [InlineData(0.0, 1.9e-3, "s", "0 0.5 ms 1 ms 1.5 ms 2 ms")]
    [InlineData(2012, 2020, "", "2012 2014 2016 2018 2020")]
    public void Ticks_of_a_linear_axis_are_round(double least, double most, string unit, string labels)
        => Labels(new Axis("x", unit), least, most).ShouldBe(labels);

    [Fact]
    public void Ticks_always_rise_and_hold_every_value_between_them()
        => Prop.ForAll(ArbMap.Default.ArbFor<NormalFloat>(), ArbMap.Default.ArbFor<NormalFloat>(), ArbMap.Default.ArbFor<bool>(), (one, other, log) =>
        {
            double[] values = log ? [Math.Abs(one.Get) % 1e12 + 1e-9, Math.Abs(other.Get) % 1e12 + 1e-9] : [one.Get % 1e12, other.Get % 1e12];
            var ticks = new AxisTicks(new Axis("x", "", log ? Scale.Log : Scale.Linear), values);
            return ticks.Values.Count is >= 2 and <= 16
                && ticks.Values.Zip(ticks.Values.Skip(1)).All(pair => pair.First < pair.Second)
                && values.All(value => ticks.Place(value) is >= -1e-6 and <= 1 + 1e-6);
        }).QuickCheckThrowOnFailure();

    private static string Labels(Axis axis, double least, double most)
    {
        var ticks = new AxisTicks(axis, [least, most]);
        return string.Join(' ', ticks.Values.Select(ticks.Label));
    }

    private static Figure Of(string name) => name switch
    {
        "Syncs" => TestFigures.Syncs,
        "Hits" => TestFigures.Hits,
        "Models" => TestFigures.Models,
        "Cpus" => TestFigures.Cpus,
        _ => new Figure("Nothing yet"),
    };

    private static double Number(XElement element, string attribute) => double.Parse(element.Attribute(attribute)!.Value, CultureInfo.InvariantCulture);
}
