using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// All schedules that a scheduler which never preempts makes when it may be delayed a few times, and all versions that fetches may see:
/// Emmi, Qadeer and Rakamarić, "Delay-Bounded Scheduling" (POPL 2011). Most bugs need very few delays.
/// </summary>
/// <param name="delays">How often the actor whose turn it is may be passed over; 0 to 8.</param>
public sealed class DelayBounded(int delays = 2) : IStrategy
{
    public int Delays { get; } = delays is >= 0 and <= 8 ? delays : throw new ArgumentOutOfRangeException(nameof(delays), delays, "a schedule is delayed 0 to 8 times");

    public string Name => "delay-bounded";

    public bool IsRandom => false;

    public ISearch Begin(Seed seed) => new Search(Delays);

    private sealed class Search(int delays) : ISearch
    {
        /// <summary>Answers given so far: the prefix is that of the execution before, with its last open answer moved on.</summary>
        private readonly List<(int Choice, int Alternatives)> _path = [];
        private int _position;
        private int _delaysLeft;
        private Transition _current;

        public string Bound => $"at most {delays} delay{(delays == 1 ? "" : "s")}";

        public bool IsExhaustive => true;

        public bool WantsAccesses => false;

        public bool TryBegin(long ordinal)
        {
            if (ordinal > 0 && !MoveOn()) return false;
            Repeat(ordinal);
            return true;
        }

        public void Repeat(long ordinal)
        {
            _position = 0;
            _delaysLeft = delays;
            _current = default;
        }

        public int ChooseTransition(List<Transition> enabled)
        {
            if (enabled.Count == 1)
            {
                _current = enabled[0];
                return 0;
            }

            // Round robin, beginning with whoever is at work; each delay passes one over.
            var first = Math.Max(0, enabled.FindIndex(t => t.Cpu == _current.Cpu && t.Kind == _current.Kind && t.Slot == _current.Slot));
            var passed = Answer(Math.Min(enabled.Count, _delaysLeft + 1));
            _delaysLeft -= passed;
            var chosen = (first + passed) % enabled.Count;
            _current = enabled[chosen];
            return chosen;
        }

        public int Choose(ChoicePoint point, int alternatives) => Answer(alternatives);

        public void Performed(ReadOnlySpan<Access> accesses)
        {
        }

        public void End(ExecutionEnd end)
        {
            if (_position < _path.Count) _path.RemoveRange(_position, _path.Count - _position);
        }

        private int Answer(int alternatives)
        {
            if (alternatives < 2) return 0;
            if (_position == _path.Count) _path.Add((0, alternatives));
            return _path[_position++].Choice;
        }

        private bool MoveOn()
        {
            for (var i = _path.Count - 1; i >= 0; i--)
            {
                var (choice, alternatives) = _path[i];
                if (choice + 1 < alternatives)
                {
                    _path[i] = (choice + 1, alternatives);
                    _path.RemoveRange(i + 1, _path.Count - i - 1);
                    return true;
                }
            }

            return false;
        }
    }
}
