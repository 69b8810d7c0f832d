using System.Text.Json.Nodes;

namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch explore.</summary>
public sealed class ExploreTests
{
    private const string Torn = "data/litmus/torn/whole-straddles-8.litmus";

    [Fact]
    public void A_folder_is_explored_in_a_fixed_order_and_all_verdicts_are_as_expected()
    {
        var one = Livepatch.Run("explore", "data/litmus/torn").ShouldBeDone().Output;
        one.ShouldContain("torn/byte-by-byte");
        one.ShouldEndWith("all as expected\n");
        Livepatch.Run("explore", "data/litmus/torn").Output.ShouldBe(one);
    }

    [Fact]
    public void A_verdict_that_is_not_the_expected_one_makes_the_status_1()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("wrong.litmus", File.ReadAllText(Path.Combine(LabFolder.Root, Torn)).Replace("violation", "pass"));
        var run = Livepatch.Run("explore", file, "--model", "sdm-worst");
        run.Status.ShouldBe(1);
        run.Output.ShouldContain("<-- differs");
        run.Output.ShouldContain("pass was expected, violation came out");
    }

    [Fact]
    public void A_counterexample_replays_to_the_same_state_every_time()
    {
        var row = Livepatch.Run("explore", Torn, "--model", "sdm-worst", "--json").ShouldBeDone().Json["rows"]!.AsArray().ShouldHaveSingleItem()!;
        var found = row["counterexample"]!;
        var decisions = found["decisions"]!.GetValue<string>();
        for (var i = 0; i < 2; i++)
        {
            var again = Livepatch.Run("explore", Torn, "--model", "sdm-worst", "--json", "--replay", decisions);
            again.Status.ShouldBe(1);
            again.Json["stateHash"]!.GetValue<string>().ShouldBe(found["stateHash"]!.GetValue<string>());
        }

        Livepatch.Run("explore", Torn, "--model", "sdm-worst").Output.ShouldContain($"--replay \"{decisions}\"");
    }

    [Fact]
    public void Searches_by_chance_and_in_depth_say_the_same()
    {
        var run = Livepatch.Run("explore", Torn, "--strategy", "all", "--json").ShouldBeDone().Json;
        run["contradictions"]!.AsArray().ShouldBeEmpty();
        run["rows"]!.AsArray().Select(r => r!["strategy"]!.GetValue<string>()).Distinct().ShouldBe(["depth-first", "random-walk", "pct"]);
    }

    [Fact]
    public void Promotion_rewrites_the_verdicts_and_says_so()
    {
        using var folder = new TemporaryFolder();
        var right = File.ReadAllText(Path.Combine(LabFolder.Root, Torn));
        var file = folder.Write("wrong.litmus", right.Replace("  violation", "  pass"));
        Livepatch.Run("explore", file, "--promote").ShouldBeDone().Output.ShouldContain("sdm-worst pass -> violation");
        File.ReadAllText(file).ShouldBe(right);
        Livepatch.Run("explore", file).ShouldBeDone();
    }

    [Fact]
    public void A_protocol_is_explored_by_name_and_without_one_of_its_syncs()
    {
        Livepatch.Run("explore", "--protocol", "text_poke_bp", "--model", "sdm-worst").ShouldBeDone().Output.ShouldContain("not proven: ");
        var run = Livepatch.Run("explore", "--protocol", "text_poke_bp", "--without", "first byte", "--model", "sdm-worst", "--json");
        run.Status.ShouldBe(1);
        JsonNode result = run.Json.AsArray().ShouldHaveSingleItem()!;
        result["verdict"]!.GetValue<string>().ShouldBe("violation");
        result["counterexample"]!["decisions"]!.GetValue<string>().ShouldNotBeEmpty();
    }

    [Theory]
    [InlineData("no-such.litmus", "no-such.litmus")]
    [InlineData("data/guests", "holds no litmus test")]
    public void What_is_no_litmus_test_gets_one_line(string path, string hint) => Livepatch.Run("explore", path).ShouldComplain(2, hint);

    [Theory]
    [InlineData("--model", "sdm-wurst", "Did you mean sdm-worst?")]
    [InlineData("--strategy", "random", "Did you mean random-walk?")]
    [InlineData("--executions", "0", "at least 1")]
    [InlineData("--without", "int3", "--protocol")]
    [InlineData("--replay", "x1", "decision 1")]
    public void A_wrong_option_gets_one_line(string option, string value, string hint)
        => Livepatch.Run(["explore", Torn, option, value, .. option == "--replay" ? new[] { "--model", "ideal" } : []]).ShouldComplain(2, hint);

    [Fact]
    public void An_error_in_a_file_names_its_line_and_column()
    {
        using var folder = new TemporaryFolder();
        Livepatch.Run("explore", folder.Write("bad.litmus", "litmus x\nquestion y\ncpu0 patcher text_poke_bpp\n")).ShouldComplain(2, "bad.litmus:3:14: ", "Did you mean text_poke_bp?");
        Livepatch.Run("explore").ShouldComplain(2, "data/litmus");
    }

    [Fact]
    public void The_first_counterexample_is_written_for_the_viewers_of_traces()
    {
        using var folder = new TemporaryFolder();
        var (perfetto, chrome) = (folder.At("trace.pftrace"), folder.At("trace.json"));
        var done = Livepatch.Run("explore", "--protocol", "text_poke_bp", "--without", "int3", "--model", "sdm-worst", "--perfetto", perfetto, "--chrome", chrome);
        done.Status.ShouldBe(1);
        done.Errors.ShouldContain(perfetto);
        new FileInfo(perfetto).Length.ShouldBeGreaterThan(100);
        System.Text.Json.JsonDocument.Parse(File.ReadAllText(chrome)).RootElement.GetArrayLength().ShouldBeGreaterThan(5);
    }
}
