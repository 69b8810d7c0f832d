using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// Every decision by a draw. Simple, and hard to beat where bugs are not rare: Thomson, Donaldson and Betts, "Concurrency Testing Using
/// Schedule Bounding: an Empirical Study" (PPoPP 2014). Even draws alone would let the shorter program end before the longer one has got anywhere; so each
/// execution has its own inclination to stay with whoever is at work, from none to fifteen times in sixteen.
/// </summary>
public sealed class RandomWalk : IStrategy
{
    public string Name => "random-walk";

    public bool IsRandom => true;

    public ISearch Begin(Seed seed) => new Walk(seed);

    private sealed class Walk(Seed seed) : ISearch
    {
        private const int Inclinations = 5;

        private readonly SeededChoices _choices = new(seed);
        private int _leaving;
        private Transition _current;

        public string Bound => "random schedules";

        public bool IsExhaustive => false;

        public bool WantsAccesses => false;

        public bool TryBegin(long ordinal)
        {
            _choices.Restart(seed.Derive((ulong)ordinal));
            _leaving = 16 >> _choices.Choose(ChoicePoint.Schedule, Inclinations);
            _current = default;
            return true;
        }

        public void Repeat(long ordinal) => TryBegin(ordinal);

        public int ChooseTransition(List<Transition> enabled)
        {
            var chosen = enabled.Count == 1 ? 0
                : _choices.Choose(ChoicePoint.Schedule, 16) >= _leaving && PlaceOf(_current, enabled) is var same and >= 0 ? same
                : _choices.Choose(ChoicePoint.Schedule, enabled.Count);
            _current = enabled[chosen];
            return chosen;
        }

        public int Choose(ChoicePoint point, int alternatives) => _choices.Choose(point, alternatives);

        public void Performed(ReadOnlySpan<Access> accesses)
        {
        }

        public void End(ExecutionEnd end)
        {
        }

        private static int PlaceOf(Transition transition, List<Transition> enabled)
        {
            for (var i = 0; i < enabled.Count; i++)
                if (enabled[i] == transition) return i;
            return -1;
        }
    }
}
