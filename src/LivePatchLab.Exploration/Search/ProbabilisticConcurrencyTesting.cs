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
        private readonly Dictionary<Transition, int> _priorities = [];
        private readonly List<int> _changes = [];
        private SeededChoices _choices = new(seed);
        private int _performed;
        private int _lowest;

        public string Bound => $"random priorities, bugs up to depth {depth}";

        public bool IsExhaustive => false;

        public bool WantsAccesses => false;

        public bool TryBegin(long ordinal)
        {
            _choices = new(seed.Derive((ulong)ordinal));
            _priorities.Clear();
            _changes.Clear();
            _performed = 0;
            _lowest = 0;

            // The length of an execution is not known before; most are as long as this, and a change behind the end is one change less.
            for (var i = 1; i < depth; i++) _changes.Add(_choices.Choose(ChoicePoint.Schedule, LengthGuess));
            return true;
        }

        public void Repeat(long ordinal) => TryBegin(ordinal);

        public int ChooseTransition(List<Transition> enabled)
        {
            var best = Highest(enabled);
            if (_changes.Contains(_performed++))
            {
                _priorities[enabled[best]] = --_lowest;
                best = Highest(enabled);
            }

            return best;
        }

        public int Choose(ChoicePoint point, int alternatives) => _choices.Choose(point, alternatives);

        public void Performed(ReadOnlySpan<Access> accesses)
        {
        }

        public void End(ExecutionEnd end)
        {
        }

        private int Highest(List<Transition> enabled)
        {
            var best = 0;
            for (var i = 1; i < enabled.Count; i++)
                if (PriorityOf(enabled[i]) > PriorityOf(enabled[best])) best = i;
            PriorityOf(enabled[best]);
            return best;
        }

        private int PriorityOf(Transition transition)
        {
            if (!_priorities.TryGetValue(transition, out var priority))
                _priorities[transition] = priority = 1 + _choices.Choose(ChoicePoint.Schedule, 1 << 20);
            return priority;
        }
    }
}
