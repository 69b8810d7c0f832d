using LivePatchLab.Machine;

namespace LivePatchLab.Exploration.Tests;

/// <summary>The litmus tests of data/litmus: what they expect comes out, whichever way they are searched.</summary>
public sealed class LitmusVerdictTests
{
    private static readonly string Folder = Path.Combine(LabFolder.Root, "data", "litmus");

    private static readonly Lazy<IReadOnlyList<LitmusTest>> All = new(() => LitmusFile.OpenAll([Folder]));

    private static readonly Lazy<IReadOnlyList<LitmusRow>> DepthFirstRows = new(() => new LitmusPlan().RunAll(All.Value, FetchModel.Presets));

    [Fact]
    public void There_are_enough_of_them_and_each_is_named_for_its_file()
    {
        All.Value.Count.ShouldBeGreaterThanOrEqualTo(40);
        All.Value.Select(t => t.Name).ShouldBe(All.Value.Select(t => Path.ChangeExtension(Path.GetRelativePath(Folder, t.File), null).Replace('\\', '/')));
    }

    [Fact]
    public void Every_verdict_is_the_one_that_was_reasoned_out()
        => DepthFirstRows.Value.Where(r => !r.IsAsExpected).Select(Describe).ShouldBeEmpty();

    [Fact]
    public void Every_pass_is_exhaustive_and_has_its_control_caught()
    {
        var passes = DepthFirstRows.Value.Where(r => r.Verdict == Verdict.Pass).ToList();
        passes.Count.ShouldBeGreaterThan(40);
        passes.Where(r => !r.Result.IsExhaustive || r.Result.Control?.Verdict != Verdict.Violation).Select(Describe).ShouldBeEmpty();
    }

    [Fact]
    public void Every_violation_replays_to_the_same_state_from_its_decisions()
    {
        foreach (var row in DepthFirstRows.Value.Where(r => r.Verdict == Verdict.Violation))
        {
            var found = row.Result.Counterexample.ShouldNotBeNull();
            var again = new LitmusPlan().For(row.Test, row.Model).Replay(found.Decisions.ToString()).ShouldNotBeNull(Describe(row));
            again.StateHash.ShouldBe(found.StateHash, Describe(row));
            again.Violation.ShouldBe(found.Violation, Describe(row));
        }
    }

    public static TheoryData<string> RandomStrategies => [.. new[] { "random-walk", "pct" }];

    [Theory]
    [MemberData(nameof(RandomStrategies))]
    public void A_search_by_chance_never_says_the_contrary_and_finds_most_of_what_is_wrong(string name)
    {
        IStrategy strategy = name == "pct" ? new ProbabilisticConcurrencyTesting() : new RandomWalk();
        var rows = new LitmusPlan { Strategy = strategy, ExecutionsMax = 2_000 }.RunAll(All.Value, FetchModel.Presets);
        DepthFirstRows.Value.Zip(rows).Where(pair => pair.First.Contradicts(pair.Second)).Select(pair => $"{Describe(pair.First)}; {Describe(pair.Second)}").ShouldBeEmpty();
        rows.ShouldAllBe(r => r.Verdict == Verdict.Violation || r.Verdict == Verdict.Inconclusive);
        rows.Count(r => r.Verdict == Verdict.Violation).ShouldBeGreaterThan(DepthFirstRows.Value.Count(r => r.Verdict == Verdict.Violation) * 3 / 4);
    }

    [Fact]
    public void Two_runs_of_the_same_tests_take_the_same_executions()
    {
        var tests = All.Value.Where(t => t.Name.StartsWith("which-sync/p2", StringComparison.Ordinal)).ToList();
        var again = new LitmusPlan().RunAll(tests, FetchModel.Presets);
        again.Select(r => (r.Test.Name, r.Model.Name, r.Verdict, r.Result.Executions))
            .ShouldBe(DepthFirstRows.Value.Where(r => tests.Contains(r.Test)).Select(r => (r.Test.Name, r.Model.Name, r.Verdict, r.Result.Executions)));
    }

    private static string Describe(LitmusRow row)
        => $"{row.Test.Name} under {row.Model.Name}, {row.Result.Strategy}: {row.Expected.Verdict} expected, {row.Verdict} after {row.Result.Executions} executions; {row.Reason} {row.Result.Counterexample?.Violation} {row.Result.Counterexample?.Decisions}";
}
