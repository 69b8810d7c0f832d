using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// PCT: every actor gets a random priority and the highest that can go on goes on; at a few random places the one at work falls below all
/// others. Finds a bug of depth d in n actors and k transitions with probability at least 1/(n k^(d-1)): Burckhardt, Kothari, Musuvathi and
/// Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010).
/// </summary>
/// <param name="depth">How many orderings of events must come together; one place less is drawn where priorities change.</param>
public sealed class ProbabilisticConcurrencyTesting(int depth = 3) : IStrategy
{
    private const int LengthGuess = 40;

    /// <summary>1 to 16.</summary>
    public int Depth { get; } = depth is >= 1 and <= 16 ? depth : throw new ArgumentOutOfRangeException(nameof(depth), depth, "a bug's depth is 1 to 16");

    public string Name => "pct";

    public bool IsRandom => true;

    public ISearch Begin(Seed seed) => new Search(seed, Depth);

    private sealed class Search(Seed seed, int depth) : ISearch
    {
        private readonly SeededChoices _choices = new(seed);
        private readonly int[] _changes = new int[depth - 1];

        /// <summary>Of those that have come up, which are few.</summary>
        private readonly List<(Transition Transition, int Priority)> _priorities = [];
        private int _performed;
        private int _lowest;

        public string Bound => $"random priorities, bugs up to depth {depth}";

        public bool IsExhaustive => false;

        public bool WantsAccesses => false;

        public bool TryBegin(long ordinal)
        {
            _choices.Restart(seed.Derive((ulong)ordinal));
            _priorities.Clear();
            _performed = 0;
            _lowest = 0;

            // The length of an execution is not known before; most are as long as this, and a change behind the end is one change less.
            for (var i = 0; i < _changes.Length; i++) _changes[i] = _choices.Choose(ChoicePoint.Schedule, LengthGuess);
            return true;
        }

        public void Repeat(long ordinal) => TryBegin(ordinal);

        public int ChooseTransition(List<Transition> enabled)
        {
            var best = Highest(enabled);
            if (Array.IndexOf(_changes, _performed++) < 0) return best;
            _priorities[PlaceOf(enabled[best])] = (enabled[best], --_lowest);
            return Highest(enabled);
        }

        public int Choose(ChoicePoint point, int alternatives) => _choices.Choose(point, alternatives);

        public void Performed(ReadOnlySpan<Access> accesses)
        {
        }

        public void End(ExecutionEnd end)
        {
        }

        /// <summary>Draws the priorities of those that are new, of the second before that of the first: in that order seeds have always drawn them.</summary>
        private int Highest(List<Transition> enabled)
        {
            if (enabled.Count == 1)
            {
                PlaceOf(enabled[0]);
                return 0;
            }

            var second = _priorities[PlaceOf(enabled[1])].Priority;
            var (best, highest) = (0, _priorities[PlaceOf(enabled[0])].Priority);
            if (second > highest) (best, highest) = (1, second);
            for (var i = 2; i < enabled.Count; i++)
            {
                var priority = _priorities[PlaceOf(enabled[i])].Priority;
                if (priority > highest) (best, highest) = (i, priority);
            }

            return best;
        }

        private int PlaceOf(Transition transition)
        {
            for (var i = 0; i < _priorities.Count; i++)
                if (_priorities[i].Transition == transition) return i;
            _priorities.Add((transition, 1 + _choices.Choose(ChoicePoint.Schedule, 1 << 20)));
            return _priorities.Count - 1;
        }
    }
}
