namespace LivePatchLab.Machine.Tests;

/// <summary>Takes every alternative of every choice, depth first: run, and run again while there is something left.</summary>
internal sealed class ExhaustiveChoices : IChoiceSource
{
    private const int RunsMax = 200_000;

    private readonly List<(int Choice, int Alternatives)> _taken = [];
    private int _asked;

    /// <summary>Choices asked in the run that is on.</summary>
    public int Asked => _asked;

    /// <summary>All that can come out of something, in order, and how many runs it took.</summary>
    public static (string[] Outcomes, int Runs) Of(Func<ExhaustiveChoices, string> run)
    {
        var choices = new ExhaustiveChoices();
        var outcomes = new SortedSet<string>(StringComparer.Ordinal);
        var runs = 0;
        do
        {
            (++runs).ShouldBeLessThan(RunsMax, "the case is too large to be enumerated");
            choices._asked = 0;
            outcomes.Add(run(choices));
        }
        while (choices.GoOn());
        return ([.. outcomes], runs);
    }

    public int Choose(ChoicePoint point, int alternatives)
    {
        alternatives.ShouldBeGreaterThan(1);
        if (_asked == _taken.Count) _taken.Add((0, alternatives));
        _taken[_asked].Alternatives.ShouldBe(alternatives, "the same choices lead to the same question");
        return _taken[_asked++].Choice;
    }

    private bool GoOn()
    {
        _taken.Count.ShouldBe(_asked, "a run asks at least what the one before it was asked up to the choice that changed");
        while (_taken.Count > 0 && _taken[^1].Choice == _taken[^1].Alternatives - 1) _taken.RemoveAt(_taken.Count - 1);
        if (_taken.Count == 0) return false;
        _taken[^1] = (_taken[^1].Choice + 1, _taken[^1].Alternatives);
        return true;
    }
}
