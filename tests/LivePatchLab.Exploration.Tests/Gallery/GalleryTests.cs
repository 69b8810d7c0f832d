using Xunit.Abstractions;

namespace LivePatchLab.Exploration.Tests.Gallery;

/// <summary>What holds for every bug of the gallery. What is special about each is in the tests of its family.</summary>
public class GalleryTests(ITestOutputHelper output)
{
    /// <summary>Bugs of the list, and how many of them the lab can express at the least.</summary>
    private const int Bugs = 35, ExpressedMin = 28;

    private const long SeedsOfMended = 2_000;

    public static TheoryData<string> Expressed => [.. BugGallery.All.Where(b => b.Broken is not null).Select(b => b.Id)];

    [Theory]
    [MemberData(nameof(Expressed))]
    public void A_bug_is_found_when_every_interleaving_is_run_and_is_gone_with_its_fix(string id)
    {
        var bug = Bug(id);
        var (broken, mended) = bug.Explore();
        output.WriteLine($"{id} {bug.Title}: found in {broken.Executions:N0} executions: {broken.Counterexample?.Violation}");
        output.WriteLine($"{id} mended: {mended.Verdict}{(mended.Reason is null ? "" : $", {mended.Reason}")}, {mended.Executions:N0} executions: {mended.Counterexample?.Violation}");
        broken.Verdict.ShouldBe(Verdict.Violation);
        mended.Verdict.ShouldBe(Verdict.Pass, $"{mended.Reason} {mended.Counterexample?.Violation}");
        mended.IsExhaustive.ShouldBeTrue();
        mended.Control!.Counterexample!.Violation.ShouldBe(broken.Counterexample!.Violation);
    }

    [Theory]
    [MemberData(nameof(Expressed))]
    public void A_bug_is_found_by_chance_and_what_was_found_can_be_run_again(string id)
    {
        var bug = Bug(id);
        var plan = ExplorationPlan.Of(bug.Broken!).Under(bug.Model).By(new RandomWalk()).Within(bug.ExecutionsMax);
        var found = plan.Run().Counterexample.ShouldNotBeNull();
        output.WriteLine($"{id}: seed {found.Seed}, the {found.Executions:N0}th execution: {found.Violation}");
        plan.Replay(found.Decisions.ToString()).ShouldNotBeNull().Violation.ShouldBe(found.Violation);
    }

    [Theory]
    [MemberData(nameof(Expressed))]
    public void The_mended_code_withstands_chance_too_which_leaves_no_order_out(string id)
    {
        var bug = Bug(id);
        ExplorationPlan.Of(bug.Mended!).Under(bug.Model).By(new RandomWalk()).Within(SeedsOfMended).Run().Counterexample?.Violation.ShouldBeNull();
    }

    [Fact]
    public void The_gallery_has_every_bug_of_the_list_once_and_says_what_is_missing_for_the_others()
    {
        BugGallery.All.Select(b => b.Number).ShouldBe(Enumerable.Range(1, Bugs));
        foreach (var bug in BugGallery.All)
        {
            (bug.Broken is null).ShouldBe(bug.Mended is null, bug.Id);
            (bug.Missing is null).ShouldBe(bug.Broken is not null, bug.Id);
        }
    }

    [Fact]
    public void Most_bugs_can_be_expressed() => BugGallery.All.Count(b => b.Broken is not null).ShouldBeGreaterThanOrEqualTo(ExpressedMin);

    [Fact]
    public void A_bug_without_a_scenario_cannot_be_explored()
    {
        var bug = new HistoricalBug(99, "Nothing") { Reference = "none", Ingredients = "none", Fix = "none", Missing = "a third mode" };
        Should.Throw<InvalidOperationException>(() => bug.Explore()).Message.ShouldBe("B99 cannot be explored: a third mode");
    }

    [Fact]
    public void The_table_of_bugs_says_what_the_gallery_says()
    {
        var lines = File.ReadAllLines(Path.Combine(LabFolder.Root, "data", "bugs.tsv"));
        lines[0].ShouldBe("bug\ttitle\treference\tingredients\tfix\texpressed");
        lines.Skip(1).ShouldBe(BugGallery.All.Select(b => string.Join('\t', b.Id, b.Title, b.Reference, b.Ingredients, b.Fix, b.Missing is null ? "yes" : $"no: {b.Missing}")));
    }

    private static HistoricalBug Bug(string id) => BugGallery.All.Single(b => b.Id == id);
}
