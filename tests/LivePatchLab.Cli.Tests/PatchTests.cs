using System.Text.Json.Nodes;

namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch patch.</summary>
public sealed class PatchTests
{
    private const string Header = "# kernel 6.1.0-test; .text base ffffffff81000000; n=3; deltas\n";

    [Fact]
    public void The_json_has_the_fields_that_scripts_depend_on()
    {
        var run = Patch("--engine", "text_poke_bp_list", "--sites", "100", "--cpus", "3");
        run.Select(field => field.Key).Take(11).ShouldBe(
            ["engine", "sites", "cpus", "syncRounds", "ipis", "int3Hits", "bytesWritten", "simulatedSeconds", "hostSeconds", "phases", "failure"]);
        run["engine"]!.GetValue<string>().ShouldBe("text_poke_bp_list");
        (run["sites"]!.GetValue<int>(), run["cpus"]!.GetValue<int>()).ShouldBe((100, 3));
        run["simulatedSeconds"]!.GetValue<double>().ShouldBeInRange(1e-6, 1);
        run["hostSeconds"]!.GetValue<double>().ShouldBeGreaterThan(0);
        run["phases"]!.AsArray().Count.ShouldBe(3);
        run["phases"]!.AsArray().Sum(phase => phase!["ipis"]!.GetValue<int>()).ShouldBe(run["ipis"]!.GetValue<int>());
        run["failure"].ShouldBeNull();
    }

    [Theory]
    [InlineData("stop_machine", 1, 5)]
    [InlineData("ftrace_2012", 3, 6)]
    [InlineData("text_poke_bp", 30, 6)]
    [InlineData("text_poke_bp_list", 3, 6)]
    public void Each_engine_does_its_syncs(string engine, int syncRounds, int bytesPerSite)
    {
        var run = Patch("--engine", engine, "--sites", "10", "--cpus", "4", "--workload", "idle");
        run["syncRounds"]!.GetValue<int>().ShouldBe(syncRounds);
        run["bytesWritten"]!.GetValue<int>().ShouldBe(10 * bytesPerSite);
        if (engine != "stop_machine") run["ipis"]!.GetValue<int>().ShouldBe(syncRounds * 3);
    }

    [Theory]
    [InlineData("text_poke_bp_list", 3)]
    [InlineData("text_poke_bp", 105_153)]
    public void All_sites_of_the_cloud_kernel_take_the_known_syncs(string engine, int syncRounds)
    {
        var run = Patch("--engine", engine, "--sites", "all", "--cpus", "2");
        (run["sites"]!.GetValue<int>(), run["syncRounds"]!.GetValue<int>()).ShouldBe((35_051, syncRounds));
    }

    [Fact]
    public void A_seed_gives_the_same_run_and_another_seed_another()
    {
        var runs = new[] { "1", "1", "2" }.Select(seed =>
        {
            var run = Patch("--engine", "text_poke_bp_list", "--sites", "2000", "--cpus", "4", "--workload", "running", "--seed", seed);
            run["int3Hits"]!.GetValue<int>().ShouldBeGreaterThan(0);
            run.Remove("hostSeconds").ShouldBeTrue();
            run.Remove("seed").ShouldBeTrue();
            return run.ToJsonString();
        }).ToList();
        runs[1].ShouldBe(runs[0]);
        runs[2].ShouldNotBe(runs[0]);
    }

    [Fact]
    public void The_text_tells_the_run_its_phases_and_how_to_have_it_again()
    {
        var text = Livepatch.Run("patch", "--sites", "10", "--cpus", "4").ShouldBeDone().Output;
        text.ShouldStartWith("text_poke_bp_list on 10 sites, 4 CPUs: 3 syncs, 9 IPIs, ");
        text.ShouldContain("\nadding breakpoints ");
        text.ShouldContain("\nseed 1, costs quiet-4");
    }

    [Theory]
    [InlineData("--engine", "text_poke_bp_lst", "Did you mean text_poke_bp_list?")]
    [InlineData("--engine", "kpatch", "stop_machine, ftrace_2012, text_poke_bp")]
    [InlineData("--costs", "quiet4", "quiet-4")]
    [InlineData("--fetch", "sdm-wurst", "sdm-worst")]
    [InlineData("--workload", "runing", "running")]
    [InlineData("--workload", "loaded", "loaded-24")]
    [InlineData("--sites", "0", "1 to 1000000")]
    [InlineData("--sites", "1000001", "1 to 1000000")]
    [InlineData("--sites", "-1", "all")]
    [InlineData("--sites", "ten", "all")]
    [InlineData("--sites", "99999999999999999999", "all")]
    [InlineData("--cpus", "0", "1 to 1024")]
    [InlineData("--cpus", "1025", "1 to 1024")]
    [InlineData("--seed", "x", "number")]
    [InlineData("--table", "no-such-file", "no-such-file")]
    [InlineData("--table", "data/guests/hello", "header")]
    [InlineData("--engin", "text_poke_bp", "--engine")]
    public void A_wrong_option_gets_one_line_that_says_what_would_do(string option, string value, string hint)
        => Livepatch.Run("patch", option, value, "--json").ShouldComplain(2, hint);

    [Fact]
    public void An_image_and_a_table_are_one_too_many()
        => Livepatch.Run("patch", "--image", "a", "--table", "b").ShouldComplain(2, "--image", "--table");

    [Theory]
    [InlineData("", 1, "header")]
    [InlineData("10,20,30\n", 1, "header")]
    [InlineData(Header, 1, "truncated")]
    [InlineData(Header + "10,20\n", 2, "truncated")]
    [InlineData(Header + "10,20\n1\n", 3, "ascend")]
    [InlineData(Header + "10,-20,30\n", 2, "-20")]
    [InlineData(Header + "10,20,zz\n", 2, "zz")]
    [InlineData(Header + "# so far, so good\n10,20\n3f000000\n", 4, "window")]
    [InlineData("# kernel x; .text base 1000; n=1; deltas\n10\n", 1, "window")]
    [InlineData("# kernel x; .text base ffffffff81000000; n=many; deltas\n10\n", 1, "header")]
    public void A_damaged_table_gets_one_line_with_its_place(string text, int line, string hint)
    {
        using var folder = new TemporaryFolder();
        Livepatch.Run("patch", "--table", folder.Write("sites.csv", text)).ShouldComplain(2, $"sites.csv:{line}:", hint);
    }

    [Fact]
    public void A_table_with_nothing_to_patch_or_too_far_spread_to_repeat_gets_one_line()
    {
        using var folder = new TemporaryFolder();
        var weak = folder.Write("weak.csv", Header + "10w,20w,30w\n");
        Livepatch.Run("patch", "--table", weak).ShouldComplain(2, "no site that tracing enables");
        Livepatch.Run("patch", "--table", weak, "--sites", "5").ShouldComplain(2, "no site that tracing enables");
        var wide = folder.Write("wide.csv", Header + "10,20,3e000000\n");
        Livepatch.Run("patch", "--table", wide, "--sites", "1000").ShouldComplain(2, "1000 sites", "take fewer");
    }

    [Fact]
    public void A_table_of_ones_own_is_patched()
    {
        using var folder = new TemporaryFolder();
        var run = Patch("--table", folder.Write("sites.csv", Header + "10,20w\n30\n"), "--engine", "text_poke_bp");
        (run["sites"]!.GetValue<int>(), run["syncRounds"]!.GetValue<int>()).ShouldBe((2, 6));
    }

    private static JsonObject Patch(params string[] options) => Livepatch.Run(["patch", .. options, "--json"]).ShouldBeDone().Json.AsObject();
}
