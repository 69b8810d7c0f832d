using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// Every decision by an even draw. Simple, and hard to beat where bugs are not rare: Thomson, Donaldson and Betts, "Concurrency Testing Using
/// Schedule Bounding: an Empirical Study" (PPoPP 2014).
/// </summary>
public sealed class RandomWalk : IStrategy
{
    public string Name => "random-walk";

    public bool IsRandom => true;

    public ISearch Begin(Seed seed) => new Walk(seed);

    private sealed class Walk(Seed seed) : ISearch
    {
        private SeededChoices _choices = new(seed);

        public string Bound => "random schedules";

        public bool IsExhaustive => false;

        public bool TryBegin(long ordinal)
        {
            _choices = new(seed.Derive((ulong)ordinal));
            return true;
        }

        public void Repeat(long ordinal) => TryBegin(ordinal);

        public int ChooseTransition(List<Transition> enabled) => enabled.Count == 1 ? 0 : _choices.Choose(ChoicePoint.Schedule, enabled.Count);

        public int Choose(ChoicePoint point, int alternatives) => _choices.Choose(point, alternatives);

        public void Performed(ReadOnlySpan<Access> accesses)
        {
        }

        public void End(ExecutionEnd end)
        {
        }
    }
}
