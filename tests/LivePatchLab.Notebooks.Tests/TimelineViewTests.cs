using System.Globalization;
using System.Xml.Linq;
using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks.Tests;

public sealed class TimelineViewTests
{
    public TimelineViewTests() => LabViews.Install();

    public static TheoryData<string, int, int, Workload> Runs => new()
    {
        { "text_poke_bp_list", 1, 1, Workload.Idle },
        { "text_poke_bp_list", 2, 1, Workload.Running },
        { "text_poke_bp", 8, 30, Workload.Loaded },
        { "ftrace_2012", 3, 5, Workload.Running },
        { "stop_machine", 32, 10, Workload.Running },
        { "text_poke_bp", 40, 100, Workload.Idle },
    };

    [Theory]
    [MemberData(nameof(Runs))]
    public void Every_form_is_well_formed_bounded_and_inside_its_edges(string engine, int cpus, int sites, Workload workload)
    {
        var recording = Record(engine, cpus, sites, workload);
        foreach (var value in new object[] { recording, recording.Stalls, recording.SiteBytes })
        {
            var bundle = Formatter.Bundle(value);
            bundle.Text(MimeBundle.Html)!.Length.ShouldBeLessThan(250_000);
            bundle.Text(MimeBundle.Plain).ShouldNotBeNullOrWhiteSpace();
            var html = XElement.Parse(bundle.Text(MimeBundle.Html)!);
            html.Descendants().ShouldNotContain(element => element.Name.LocalName == "script" || element.Name.LocalName == "style");
            if (html.Descendants().FirstOrDefault(element => element.Name.LocalName == "svg") is not { } svg) continue;
            svg.Attribute("role")!.Value.ShouldBe("img");
            svg.Attribute("aria-label")!.Value.ShouldNotBeEmpty();
            bundle.Picture.ShouldNotBeNull().Width.ShouldBe(800);
            foreach (var box in svg.Descendants().Where(element => element.Name.LocalName == "rect"))
            {
                Number(box, "x").ShouldBeGreaterThanOrEqualTo(0);
                Number(box, "width").ShouldBeGreaterThan(0);
                (Number(box, "x") + Number(box, "width")).ShouldBeLessThanOrEqualTo(801, box.ToString());
                (Number(box, "y") + Number(box, "height")).ShouldBeLessThanOrEqualTo(Number(svg, "height"), box.ToString());
            }
        }
    }

    [Fact]
    public void A_small_run_has_a_box_for_every_handler_and_an_arrow_for_every_ipi()
    {
        var recording = Record("text_poke_bp_list", 3, 1, Workload.Idle);
        var svg = XElement.Parse(Formatter.Bundle(recording).Picture!.Svg);
        // One of each is the legend's.
        svg.Descendants().Count(element => element.Name.LocalName == "rect" && element.Attribute("fill")?.Value == "#0072B2").ShouldBe((int)recording.Run.Ipis + 1 + 1, "handlers, the legend, and the new bytes");
        svg.Descendants().Count(element => element.Name.LocalName == "path").ShouldBe((int)recording.Run.Ipis + 1);
        foreach (var phase in recording.Phases) svg.Value.ShouldContain(phase.Name);
    }

    [Fact]
    public void What_is_too_narrow_is_drawn_together_and_said()
    {
        var bundle = Formatter.Bundle(Record("text_poke_bp", 8, 200, Workload.Idle));
        bundle.Text(MimeBundle.Plain)!.ShouldContain("too narrow to be seen alone are drawn with their neighbours");
        bundle.Text(MimeBundle.Plain)!.ShouldContain("have no arrow of their own");
        Formatter.Bundle(Record("text_poke_bp_list", 2, 1, Workload.Idle)).Text(MimeBundle.Plain)!.ShouldNotContain("too narrow");
    }

    [Fact]
    public void The_plain_text_has_a_lane_of_letters_for_each_cpu()
    {
        var text = Formatter.Bundle(Record("text_poke_bp_list", 3, 1, Workload.Running)).Text(MimeBundle.Plain)!;
        var lanes = text.Split('\n').Where(line => line.StartsWith("CPU ", StringComparison.Ordinal) && line.Contains('|', StringComparison.Ordinal)).ToArray();
        lanes.Length.ShouldBe(3);
        lanes.ShouldAllBe(lane => lane.Length == lanes[0].Length);
        lanes[0].ShouldContain('=');
        lanes[0].ShouldContain('W');
        lanes[1].ShouldContain('I');
        lanes[1].ShouldContain('.');
    }

    [Fact]
    public void The_histogram_counts_every_stall_once()
    {
        foreach (var sites in new[] { 1, 30 })
        {
            var stalls = Record("text_poke_bp", 8, sites, Workload.Loaded).Stalls;
            stalls.Plot().Traces.Cast<BarTrace>().Sum(bars => bars.Y.Sum()).ShouldBe(stalls.Series.Sum(series => series.Count));
            stalls.Plot().Traces.Cast<BarTrace>().ShouldAllBe(bars => bars.Categories.Distinct().Count() == bars.Categories.Count && bars.Categories.Count <= 16);
        }
    }

    [Fact]
    public void A_listing_marks_sites_and_int3_in_words()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 2, Costs = CostPreset.Unit, Workload = Workload.Idle });
        lab.Machine.TryStoreCode(lab.Machine.Cpus[0], lab.Text.Sites[1], [0xcc]);
        var bundle = Formatter.Bundle(lab.DisassembleSite(0, 40));
        var lines = bundle.Text(MimeBundle.Plain)!.Split('\n');
        lines.ShouldContain(line => line.EndsWith("<- site 0, nop, ftrace", StringComparison.Ordinal));
        lines.ShouldContain(line => line.EndsWith("<- site 1, int3 stands here", StringComparison.Ordinal));
        lines.ShouldContain(line => line.EndsWith("<- what CPU0, CPU1 may still see", StringComparison.Ordinal), string.Join('\n', lines));
        XElement.Parse(bundle.Text(MimeBundle.Html)!).Value.ShouldContain("int3 stands here");
    }

    [Fact]
    public void A_machine_that_has_run_shows_its_cpus()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 3, Sites = 2, Workload = Workload.Running });
        Formatter.Bundle(lab).Text(MimeBundle.Plain)!.ShouldNotContain("IPIs pending");
        lab.RunGuests(1000);
        var text = Formatter.Bundle(lab).Text(MimeBundle.Plain)!;
        text.ShouldContain("IPIs pending");
        text.Split("guest code at ").Length.ShouldBe(4);
    }

    [Fact]
    public void A_sweep_has_a_figure_and_a_table_that_sorts_where_scripts_run()
    {
        var bundle = Formatter.Bundle(Sweep.Run(new SweepSpec { Engines = ["text_poke_bp", "text_poke_bp_list"], Sites = [1, 10], Cpus = [2], Costs = "unit" }, parallelism: 1));
        bundle.Picture.ShouldNotBeNull().Alt.ShouldStartWith("Simulated time by sites");
        var html = bundle.Text(MimeBundle.Html)!;
        html.ShouldContain("<svg ");
        html.ShouldContain("<table class=\"livepatch-sort\">");
        SortScript.Html.Length.ShouldBeLessThan(2000);
        html.Split("<script>").Length.ShouldBe(2);
        Formatter.Bundle(Sweep.Run(new SweepSpec { Engines = ["text_poke_bp"], Sites = [1], Cpus = [2], Costs = "unit" }, parallelism: 1)).Picture.ShouldBeNull();
    }

    private static PatchRecording Record(string engine, int cpus, int sites, Workload workload)
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = cpus, Sites = sites, Costs = workload == Workload.Loaded ? CostPreset.Loaded24 : CostPreset.Quiet4, Workload = workload, Seed = new(3) });
        return Patch.All().With(engine).Record(lab);
    }

    private static double Number(XElement element, string name) => double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);
}
