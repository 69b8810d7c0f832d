using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// Makes a violating execution easier to read without losing what it violates: fewer changes from one CPU to another, fewer transitions, the oldest bytes
/// only where they matter. In the manner of delta debugging (Zeller and Hildebrandt, IEEE TSE 28(2), 2002), on transitions rather than on decisions, for
/// an index means something else once anything before it has changed.
/// </summary>
internal sealed class Shrinking(ScenarioMachine machine)
{
    private const int ReplaysMax = 4000;
    private int _replays;

    public DecisionList Shrink(DecisionList decisions)
    {
        var recorder = new StepRecorder(new ReplaySearch(decisions));
        var invariant = Execute(recorder);
        if (invariant is null) throw new InvalidOperationException("a decision list that violates nothing is not shrunk");
        var best = new Attempt(recorder.Steps, machine.Decisions);
        for (var isBetter = true; isBetter && _replays < ReplaysMax;)
        {
            isBetter = false;
            foreach (var candidate in Candidates(best.Steps))
            {
                if (_replays >= ReplaysMax) break;
                var attempt = new StepRecorder(new LooseReplay(candidate));
                if (Execute(attempt) != invariant || !IsSimpler(attempt.Steps, best.Steps)) continue;
                best = new(attempt.Steps, machine.Decisions);
                isBetter = true;
                break;
            }
        }

        return best.Decisions;
    }

    private Patching.Invariants? Execute(StepRecorder recorder)
    {
        _replays++;
        recorder.TryBegin(0);
        machine.Execute(recorder, records: true);
        return machine.Run.Violation?.Invariant;
    }

    /// <summary>Simpler variants, the boldest first.</summary>
    private static IEnumerable<List<Step>> Candidates(IReadOnlyList<Step> steps)
    {
        var blocks = BlocksOf(steps);

        // A block of one CPU's transitions joins the one before or behind it of the same CPU.
        for (var i = 0; i < blocks.Count; i++)
        {
            for (var j = i + 1; j < blocks.Count; j++)
            {
                if (steps[blocks[i].Start].Transition.Cpu != steps[blocks[j].Start].Transition.Cpu) continue;
                yield return Moved(steps, blocks[j].Start, blocks[j].Length, blocks[i].Start + blocks[i].Length);
                yield return Moved(steps, blocks[i].Start, blocks[i].Length, blocks[j].Start);
                break;
            }
        }

        for (var i = steps.Count - 1; i >= 0; i--)
        {
            var without = new List<Step>(steps);
            without.RemoveAt(i);
            yield return without;
        }

        // The edge of a block goes to its neighbour of the same CPU.
        for (var i = 1; i < steps.Count; i++)
        {
            if (steps[i].Transition.Cpu == steps[i - 1].Transition.Cpu) continue;
            var earlier = i - 1;
            while (earlier >= 0 && steps[earlier].Transition.Cpu != steps[i].Transition.Cpu) earlier--;
            if (earlier >= 0) yield return Moved(steps, i, 1, earlier + 1);
        }

        // The newest bytes, where that will do.
        for (var i = 0; i < steps.Count; i++)
        {
            for (var a = 0; a < steps[i].Answers.Count; a++)
            {
                var fresh = new List<Step>(steps);
                var answers = new List<int>(steps[i].Answers) { [a] = int.MaxValue };
                fresh[i] = steps[i] with { Answers = answers };
                yield return fresh;
            }
        }
    }

    private static List<(int Start, int Length)> BlocksOf(IReadOnlyList<Step> steps)
    {
        var blocks = new List<(int Start, int Length)>();
        for (var i = 0; i < steps.Count;)
        {
            var end = i + 1;
            while (end < steps.Count && steps[end].Transition.Cpu == steps[i].Transition.Cpu) end++;
            blocks.Add((i, end - i));
            i = end;
        }

        return blocks;
    }

    private static List<Step> Moved(IReadOnlyList<Step> steps, int start, int length, int to)
    {
        var moved = new List<Step>(steps);
        var block = moved.GetRange(start, length);
        moved.RemoveRange(start, length);
        moved.InsertRange(to > start ? to - length : to, block);
        return moved;
    }

    private static bool IsSimpler(IReadOnlyList<Step> a, IReadOnlyList<Step> b) => CostOf(a).CompareTo(CostOf(b)) < 0;

    private static (int Changes, int Transitions, int Stale) CostOf(IReadOnlyList<Step> steps)
    {
        var changes = 0;
        for (var i = 1; i < steps.Count; i++)
            if (steps[i].Transition.Cpu != steps[i - 1].Transition.Cpu) changes++;
        return (changes, steps.Count, steps.Sum(s => s.Stale));
    }

    private sealed record Attempt(IReadOnlyList<Step> Steps, DecisionList Decisions);

    /// <summary>One transition of an execution, with the answers it asked for; <see cref="Stale"/> of them were not the newest.</summary>
    private sealed record Step(Transition Transition, List<int> Answers)
    {
        public int Stale { get; set; }
    }

    /// <summary>Writes down which transitions an execution took.</summary>
    private sealed class StepRecorder(ISearch inner) : ISearch
    {
        private readonly List<Step> _steps = [];

        public IReadOnlyList<Step> Steps => _steps;

        public string Bound => inner.Bound;

        public bool IsExhaustive => false;

        public bool TryBegin(long ordinal) => inner.TryBegin(ordinal);

        public void Repeat(long ordinal) => inner.Repeat(ordinal);

        public int ChooseTransition(List<Transition> enabled)
        {
            var chosen = inner.ChooseTransition(enabled);
            _steps.Add(new(enabled[chosen], []));
            return chosen;
        }

        public int Choose(ChoicePoint point, int alternatives)
        {
            var answer = inner.Choose(point, alternatives);
            _steps[^1].Answers.Add(answer);
            if (answer < alternatives - 1) _steps[^1].Stale++;
            return answer;
        }

        public void Performed(ReadOnlySpan<Access> accesses) => inner.Performed(accesses);

        public void End(ExecutionEnd end) => inner.End(end);
    }

    /// <summary>Takes the transitions of a list as far as they can be taken, in its order, and leaves out what cannot.</summary>
    private sealed class LooseReplay(List<Step> steps) : ISearch
    {
        private readonly List<Step> _left = [.. steps];
        private Step? _current;
        private int _answered;

        public string Bound => "one execution";

        public bool IsExhaustive => false;

        public bool TryBegin(long ordinal) => true;

        public void Repeat(long ordinal)
        {
        }

        public int ChooseTransition(List<Transition> enabled)
        {
            _answered = 0;
            for (var i = 0; i < _left.Count; i++)
            {
                var chosen = enabled.IndexOf(_left[i].Transition);
                if (chosen < 0) continue;
                _current = _left[i];
                _left.RemoveAt(i);
                return chosen;
            }

            _current = null;
            return 0;
        }

        public int Choose(ChoicePoint point, int alternatives)
            => _current is not null && _answered < _current.Answers.Count ? Math.Min(_current.Answers[_answered++], alternatives - 1) : alternatives - 1;

        public void Performed(ReadOnlySpan<Access> accesses)
        {
        }

        public void End(ExecutionEnd end)
        {
        }
    }
}
