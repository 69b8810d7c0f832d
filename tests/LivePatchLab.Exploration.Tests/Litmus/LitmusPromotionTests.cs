using LivePatchLab.Machine;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Accepting what came out as what is expected.</summary>
public sealed class LitmusPromotionTests : IDisposable
{
    private const string Head = "litmus x\nquestion y\n# why we ask\nsite call old -> call new, aligned\ncpu0 steps\n  store site = new byte by byte\ncpu1 runs the site once\nkeeps I2\n";

    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void Only_the_verdict_changes()
    {
        var promoted = Promote(Head + "verdict   every model  pass  it must   # says who\n          be so\n");
        promoted.ShouldBe(Head + "verdict   every model  violation  it must   # says who\n          be so\n");
    }

    [Fact]
    public void Models_that_part_get_lines_of_their_own_with_the_same_reason()
    {
        var others = string.Join(", ", FetchModel.Presets.Select(m => m.Name).Skip(1));
        var promoted = Promote(Head + $"verdict ideal pass  so\nverdict {others}  violation  else\n");
        promoted.ShouldBe(Head + $"verdict ideal violation  so\nverdict {others}  violation  else\n");

        // One model of a line is as expected, the other is not.
        var test = LitmusFile.Parse("x.litmus", (Head + "verdict every model  pass  so\n").Replace(" byte by byte", "", StringComparison.Ordinal));
        var rows = FetchModel.Presets.Select(m => new LitmusPlan().Run(test, m)).ToList();
        rows.Where(r => !r.IsAsExpected).Select(r => r.Model.Name).ShouldBe(["sdm-worst"]);
        var text = LitmusPromotion.Rewrite(Head.Replace(" byte by byte", "", StringComparison.Ordinal) + "verdict every model  pass  so\n", rows);
        text.ShouldEndWith($"verdict   sdm-worst  violation  so\nverdict   {string.Join(", ", FetchModel.Presets.Select(m => m.Name).Where(n => n != "sdm-worst"))}  pass  so\n");
    }

    [Fact]
    public void A_file_that_is_right_stays_as_it_is()
    {
        var text = Head + "verdict   every model  violation  so\n";
        Promote(text, changes: 0).ShouldBe(text);
    }

    [Fact]
    public void What_was_promoted_is_expected_afterwards()
    {
        Promote(Head + "verdict   every model  inconclusive  so\n");
        var test = LitmusFile.Open(_file);
        FetchModel.Presets.ShouldAllBe(m => new LitmusPlan().Run(test, m, default).IsAsExpected);
    }

    private string Promote(string text, int? changes = null)
    {
        File.WriteAllText(_file, text);
        var test = LitmusFile.Open(_file);
        var changed = LitmusPromotion.Promote(test, new LitmusPlan().RunAll([test], FetchModel.Presets));
        if (changes is { } expected) changed.Count.ShouldBe(expected);
        else changed.ShouldNotBeEmpty();
        return File.ReadAllText(_file);
    }
}
