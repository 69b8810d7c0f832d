using System.Globalization;
using System.Text.Json;
using System.Xml.Linq;
using LivePatchLab.Exploration;
using LivePatchLab.Exploration.Tests;

namespace LivePatchLab.Notebooks.Tests;

public sealed class ExplorationViewTests
{
    public ExplorationViewTests() => LabViews.Install();

    public static TheoryData<string> Names => [.. HandMade.All.Select(each => each.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_form_is_well_formed_bounded_and_inside_its_edges(string name)
    {
        var example = HandMade.All.First(each => each.Name == name).Example;
        foreach (var value in new object[] { example, HandMade.Found(example) })
        {
            var bundle = Formatter.Bundle(value);
            bundle.Text(MimeBundle.Plain).ShouldNotBeNullOrWhiteSpace();
            bundle.Text(MimeBundle.Html)!.Length.ShouldBeLessThan(250_000);
            var html = XElement.Parse(bundle.Text(MimeBundle.Html)!);
            html.Descendants().ShouldNotContain(element => element.Name.LocalName == "script" || element.Name.LocalName == "style");
            var svg = html.Descendants().Single(element => element.Name.LocalName == "svg");
            svg.Attribute("role")!.Value.ShouldBe("img");
            svg.Attribute("aria-label")!.Value.ShouldContain(example.Violation.Detail);
            bundle.Picture.ShouldNotBeNull().Width.ShouldBe(800);
            foreach (var box in svg.Descendants().Where(element => element.Name.LocalName == "rect"))
            {
                Number(box, "x").ShouldBeGreaterThanOrEqualTo(0);
                (Number(box, "x") + Number(box, "width")).ShouldBeLessThanOrEqualTo(800, box.ToString());
                (Number(box, "y") + Number(box, "height")).ShouldBeLessThanOrEqualTo(Number(svg, "height"), box.ToString());
            }

            foreach (var entry in example.Entries) svg.Descendants().Count(element => element.Name.LocalName == "text" && element.Value == entry.Ordinal.ToString(CultureInfo.InvariantCulture)).ShouldBe(1);
        }
    }

    [Fact]
    public void A_violation_says_what_was_violated_shows_the_table_and_how_to_have_it_again()
    {
        var text = Formatter.Bundle(HandMade.Found(HandMade.TornCall)).Text(MimeBundle.Plain)!;
        text.ShouldStartWith("Violation of I2 after 37 executions, 6 decisions\ntext_poke_bp without the sync after adding breakpoints, 1 site, under sdm-worst, by depth-first; checked: I1, I2\n");
        text.ShouldContain(new InterleavingTable(HandMade.TornCall).ToString());
        text.ShouldContain("CPU1 at 4, bytes 0 to 2 only");
        text.ShouldContain("Explore(…).Under(…).Replay(\"s0*3 f0 s1 f2\")");
        text.ShouldContain("state 0123456789abcdef");
    }

    [Fact]
    public void A_pass_says_what_it_does_not_prove_and_warns_when_it_had_no_control()
    {
        var text = Formatter.Bundle(HandMade.Passed).Text(MimeBundle.Plain)!;
        text.ShouldStartWith("Pass: all 41,210 executions under all interleavings; control caught after 3\n");
        text.ShouldContain("What this does not prove:\n- Nothing is said of more than 2 CPUs or more than 1 site.\n- Only I1, I2 were checked.");
        text.ShouldNotContain("No control");
        Formatter.Bundle(HandMade.Passed).Picture.ShouldBeNull();
        Formatter.Bundle(HandMade.Passed with { Control = null }).Text(MimeBundle.Html)!.ShouldContain("<strong>No control was run");
    }

    [Fact]
    public void Equal_results_look_alike_however_long_they_took()
        => Formatter.Bundle(HandMade.Passed with { HostSeconds = 99 }).Text(MimeBundle.Html).ShouldBe(Formatter.Bundle(HandMade.Passed).Text(MimeBundle.Html));

    [Fact]
    public void The_links_carry_the_traces_themselves()
    {
        var html = XElement.Parse(Formatter.Bundle(HandMade.UnhandledTrap).Text(MimeBundle.Html)!);
        var links = html.Descendants("a").Select(link => (Name: link.Attribute("download")!.Value, Bytes: Convert.FromBase64String(link.Attribute("href")!.Value.Split(',')[1]))).ToArray();
        links.Select(link => link.Name).ShouldBe(["text_poke_bp--trap-gate--1-site.perfetto-trace", "text_poke_bp--trap-gate--1-site.json"]);
        using var stream = new MemoryStream();
        PerfettoTrace.Write(HandMade.UnhandledTrap, stream);
        links[0].Bytes.ShouldBe(stream.ToArray());
        using var json = JsonDocument.Parse(links[1].Bytes);
        json.RootElement.ValueKind.ShouldBe(JsonValueKind.Array);
    }

    [Fact]
    public void Stale_torn_int3_and_the_violation_are_told_apart_in_the_lanes_and_by_words()
    {
        var torn = Svg(HandMade.TornCall);
        torn.Value.ShouldContain("torn");
        torn.Value.ShouldContain("I2 violated");
        torn.Descendants().Count(element => element.Attribute("fill")?.Value == "#cc2222").ShouldBe(1);
        Svg(HandMade.ManyCpus).Descendants().Count(element => element.Name.LocalName == "text" && element.Value == "stale").ShouldBe(7);
        Hatchings(HandMade.ManyCpus).ShouldBe(0);
        // The fetched int3, the version with int3 of the strip, and the legend's.
        Hatchings(HandMade.UnhandledTrap).ShouldBe(3);
    }

    [Fact]
    public void An_arrow_leads_from_who_sent_an_ipi_to_who_took_it()
    {
        Arrows(HandMade.UnhandledTrap with { Entries = [.. HandMade.UnhandledTrap.Entries.Skip(1)] }).ShouldBe(1 + 1, "one is the legend's");
        Arrows(HandMade.UnhandledTrap).ShouldBe(1, "the two stand in different lines");
        Svg(HandMade.UnhandledTrap).Value.ShouldContain("from 4");
        Arrows(HandMade.UnhandledTrap with { Entries = [.. HandMade.UnhandledTrap.Entries.Select(entry => entry with { CausedBy = null })] }).ShouldBe(0);
    }

    [Fact]
    public void Of_a_long_run_the_end_is_shown_and_it_is_said_that_it_is_the_end()
    {
        var entries = Enumerable.Range(0, 400).Select(i => new TraceEntry(i, new(i % 2), i, 1, TraceKind.Step, "text_poke_bp", $"step {i} <&>")).ToArray();
        var history = entries.Select(entry => new SiteVersion(entry.Ordinal, new(0xffffffff81000005), [(byte)entry.Ordinal, 0, 0])).ToArray();
        var bundle = Formatter.Bundle(HandMade.TornCall with { Entries = entries, SiteHistory = history, Decisions = DecisionList.Parse("s0*200 s1*200") });
        var text = bundle.Text(MimeBundle.Plain)!;
        text.ShouldContain("The first 250 entries are not shown.");
        text.ShouldContain("step 399");
        text.ShouldNotContain("step 249");
        text.Split('\n').First(line => line.EndsWith(" 00 00", StringComparison.Ordinal)).Trim().ShouldBe("f9 00 00", "the bytes as they were when the shown part begins");
        XElement.Parse(bundle.Text(MimeBundle.Html)!);
    }

    private static XElement Svg(Counterexample example) => XElement.Parse(Formatter.Bundle(example).Picture!.Svg);

    private static int Hatchings(Counterexample example) => Svg(example).Descendants().Count(element => element.Name.LocalName == "path" && element.Attribute("fill")?.Value == "none");

    private static int Arrows(Counterexample example) => Svg(example).Descendants().Count(element => element.Name.LocalName == "path" && element.Attribute("fill") is null);

    private static double Number(XElement element, string name) => double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);
}
