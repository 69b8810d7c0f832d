namespace LivePatchLab.Notebooks.Tests;

[Collection("Sessions")]
public sealed class InterruptedSweepTests
{
    private readonly NotebookSession _session = new(LabMagics.Table(), new CSharpSession());

    [Fact]
    public async Task An_interrupted_sweep_leaves_its_finished_runs_in_its_variable()
    {
        var (result, shown) = await InterruptedAfter(3, "#!sweep --engines text_poke_bp,text_poke_bp_list --sites 1,10,100 --cpus 2,4 --seeds 1..20 --name mine");
        var failure = result.Failure.ShouldNotBeNull();
        failure.Kind.ShouldBe(CellFailure.Interrupted);

        var runs = int.Parse(await Text("mine.Runs.Count"), System.Globalization.CultureInfo.InvariantCulture);
        runs.ShouldBeInRange(3, 239);
        failure.ToString().ShouldBe($"cell 1, line 1: interrupted after {runs} of 240 runs; `mine` holds those {runs}");
        shown.ShouldContain($"interrupted after {runs} of 240 runs");
        (await Text("mine.IsComplete")).ShouldBe("false");
        (await Text("#!plot --of mine")).ShouldContain($"Not all of the sweep: interrupted after {runs} of 240 runs.");
    }

    [Fact]
    public async Task A_sweep_in_a_CSharp_cell_gives_what_it_has_and_the_cell_still_ends_as_interrupted()
    {
        var (result, shown) = await InterruptedAfter(3, """
            var spec = new SweepSpec { Engines = ["text_poke_bp"], Sites = [1, 10, 100], Cpus = [2, 4], Seeds = [.. Enumerable.Range(1, 40).Select(seed => (ulong)seed)] };
            var mine = Sweep.Run(spec, progress: at => progress(at.Done, at.Total, "runs"), cancellation: cancellation);
            mine
            """);
        result.Failure.ShouldNotBeNull().ToString().ShouldBe("cell 1: interrupted");
        shown.ShouldContain("of 240 runs; the others are not in what follows");
        (await Text("mine.Runs.Count is >= 3 and < 240")).ShouldBe("true");
    }

    [Fact]
    public async Task A_sweep_that_is_not_interrupted_says_nothing_of_it()
        => (await Text("#!sweep --engines text_poke_bp --sites 1 --cpus 2")).ShouldNotContain("interrupted");

    private async Task<(CellResult Result, string Shown)> InterruptedAfter(int runs, string code)
    {
        using var source = new CancellationTokenSource();
        var output = new OutputCollector(at => { if (at.Done >= runs) source.Cancel(); });
        var result = await _session.RunCellAsync(code, 1, output, source.Token);
        return (result, string.Join('\n', output.Outputs.Select(TestRun.Plain)));
    }

    private async Task<string> Text(string code)
    {
        var output = new OutputCollector();
        var result = await _session.RunCellAsync(code, 2, output, CancellationToken.None);
        result.Failure?.ToString().ShouldBeNull();
        return string.Join('\n', output.Outputs.Select(TestRun.Plain).Concat(result.Value is null ? [] : [result.Value.Text(MimeBundle.Plain)!]));
    }
}
