using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>One execution by a decision list. Behind its end the first alternative is taken.</summary>
internal sealed class ReplaySearch(DecisionList decisions) : ISearch
{
    private int _position;

    public string Bound => "one decision list";

    public bool IsExhaustive => false;

    public bool WantsAccesses => false;

    public bool TryBegin(long ordinal)
    {
        _position = 0;
        return ordinal == 0;
    }

    public void Repeat(long ordinal) => _position = 0;

    public int ChooseTransition(List<Transition> enabled) => enabled.Count == 1 ? 0 : Choose(ChoicePoint.Schedule, enabled.Count);

    public int Choose(ChoicePoint point, int alternatives)
    {
        if (_position >= decisions.Count) return 0;
        var decision = decisions[_position++];
        if (decision.Point != point || decision.Choice >= alternatives)
            throw new BadInputException($"decision {_position} does not belong to this scenario: it answers {decision.Point} with {decision.Choice}, and {point} with {alternatives} alternatives is asked");
        return decision.Choice;
    }

    public void Performed(ReadOnlySpan<Access> accesses)
    {
    }

    public void End(ExecutionEnd end)
    {
    }
}
