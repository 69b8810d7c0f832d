namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch sweep.</summary>
public sealed class SweepTests
{
    private const string Spec = """{"engines": ["text_poke_bp", "text_poke_bp_list"], "sites": [1, 300], "cpus": [1, 4], "seeds": [3, 4], "workload": "running"}""";

    [Fact]
    public void However_many_jobs_the_bytes_are_the_same()
    {
        using var folder = new TemporaryFolder();
        var spec = folder.Write("sweep.json", Spec);
        var one = Livepatch.Run("sweep", spec, "--jobs", "1");
        one.Status.ShouldBe(0);
        var two = Livepatch.Run("sweep", spec, "--jobs", "2");
        two.Output.ShouldBe(one.Output);
        one.Json.AsArray().Select(run => $"{run!["engine"]} {run["sites"]} {run["cpus"]} {run["seed"]}").ShouldBe(
            from engine in (string[])["text_poke_bp", "text_poke_bp_list"]
            from sites in (int[])[1, 300]
            from cpus in (int[])[1, 4]
            from seed in (int[])[3, 4]
            select $"{engine} {sites} {cpus} {seed}");
    }

    [Fact]
    public void A_run_of_a_sweep_is_the_run_of_patch()
    {
        using var folder = new TemporaryFolder();
        var swept = Livepatch.Run("sweep", folder.Write("sweep.json", """{"engines": ["text_poke_bp"], "sites": [50], "cpus": [3], "seeds": [9], "workload": "running"}""")).Json[0]!;
        var single = Livepatch.Run("patch", "--engine", "text_poke_bp", "--sites", "50", "--cpus", "3", "--seed", "9", "--workload", "running", "--json").Json.AsObject();
        single.Remove("hostSeconds");
        single.ToJsonString().ShouldBe(swept.ToJsonString());
    }

    [Theory]
    [InlineData("", "sweep.json:1:")]
    [InlineData("null", "sweep.json")]
    [InlineData("[1, 2]", "sweep.json:1:")]
    [InlineData("{\"engines\": [\"text_poke_bp\"],\n \"sites\": [1", "sweep.json:2:")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [1]}""", "not given: 'cpus'")]
    [InlineData("""{"engine": ["text_poke_bp"], "sites": [1], "cpus": [1]}""", "nothing named 'engine'")]
    [InlineData("""{"engines": ["text_poke_pb"], "sites": [1], "cpus": [1]}""", "Did you mean text_poke_bp?")]
    [InlineData("""{"engines": null, "sites": [1], "cpus": [1]}""", "null")]
    [InlineData("""{"engines": [null], "sites": [1], "cpus": [1]}""", "null")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": ["many"], "cpus": [1]}""", "sites[0]")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [], "cpus": [1]}""", "at least one")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [1], "cpus": [2000]}""", "1 to 1024")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [0], "cpus": [2]}""", "1 to 1000000")]
    public void A_wrong_specification_gets_one_line(string spec, string hint)
    {
        using var folder = new TemporaryFolder();
        Livepatch.Run("sweep", folder.Write("sweep.json", spec)).ShouldComplain(2, hint);
    }

    [Fact]
    public void A_specification_that_is_not_there_gets_one_line() => Livepatch.Run("sweep", "no-such.json").ShouldComplain(2, "no-such.json");

    [UnixFact]
    public void An_interrupted_sweep_prints_the_runs_that_are_finished()
    {
        using var folder = new TemporaryFolder();
        var spec = folder.Write("sweep.json", LongSpec);
        // A shell whose input is no terminal lets its background jobs ignore SIGINT; so the signal comes from beside it.
        var run = Livepatch.Start("timeout", "--preserve-status", "--signal=INT", "6", Livepatch.Program, "sweep", spec);
        run.ShouldHaveNoTrace();
        run.Status.ShouldBe(130, run.Errors);
        var runs = run.Json.AsArray();
        runs.Count.ShouldBeInRange(1, 39_999);
        run.ErrorLines.ShouldHaveSingleItem().ShouldBe(FormattableString.Invariant($"livepatch: interrupted after {runs.Count:N0} of 40,000 runs; those {runs.Count} are printed"));
    }

    [UnixFact("script")]
    public void A_terminal_sees_one_line_rewritten_in_place_and_cleared()
    {
        using var folder = new TemporaryFolder();
        var spec = folder.Write("sweep.json", LongSpec);
        var run = Livepatch.Start("env", "TERM=xterm", "script", "-qec", $"timeout --foreground --preserve-status --signal=INT 6 {Livepatch.Program} sweep {spec} > {folder.At("runs.json")}", "/dev/null");
        run.Output.ShouldContain("\r\u001b[Kruns: ");
        run.Output.ShouldMatch("runs: [0-9,]+ of 40,000, [0-9]+ %, [0-9,.]+ a (second|minute), .* left");
        run.Output.ShouldContain("\r\u001b[Klivepatch: interrupted after");
        System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(folder.At("runs.json")))!.AsArray().Count.ShouldBeGreaterThan(0);
    }

    /// <summary>40,000 runs, of some milliseconds each.</summary>
    private static string LongSpec => $$"""{"engines": ["text_poke_bp"], "sites": [10], "cpus": [4], "workload": "running", "seeds": [{{string.Join(", ", Enumerable.Range(1, 40_000))}}]}""";
}

/// <summary>A test that sends signals, and may need a program beside <c>timeout</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class UnixFactAttribute : FactAttribute
{
    public UnixFactAttribute(string program = "timeout")
    {
        if (!new[] { "timeout", program }.All(IsThere)) Skip = $"needs the programs timeout and {program}";
    }

    private static bool IsThere(string program)
        => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));
}
