using System.Numerics;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// All executions, deepest decision first. Of executions that differ only in the order of transitions that commute, one is run: dynamic
/// partial-order reduction (Flanagan and Godefroid, POPL 2005) says where another order is worth trying, and sleep sets (Godefroid, LNCS 1032, 1996) keep an
/// order from being tried twice. What a fetch may see is not reduced: every version is tried.
/// </summary>
/// <param name="reduces">False to run every interleaving: for small scenarios, and to test the reduction.</param>
public sealed class DepthFirst(bool reduces = true) : IStrategy
{
    public string Name => "depth-first";

    public bool IsRandom => false;

    public ISearch Begin(Seed seed) => new DepthFirstSearch(reduces);
}

internal sealed class DepthFirstSearch(bool reduces) : ISearch
{
    private const int Nowhere = -1;

    private readonly List<DepthFirstNode> _stack = [];
    private readonly Stack<DepthFirstNode> _spare = new();
    private readonly List<Transition> _actors = [];

    private readonly ThingBits _bits = new();

    /// <summary>The nodes of the stack in short, side by side: most of them need not be looked at to know that they are no race.</summary>
    private PathEntry[] _path = new PathEntry[64];

    private readonly PathPlaces _places = new();

    /// <summary>The transitions of the stack, likewise: an execution that begins as the one before it needs no more of the nodes.</summary>
    private Transition[] _way = new Transition[64];

    /// <summary>Where on the path each actor has done something last, and how many places of the path that takes in.</summary>
    private readonly int[] _lastOf = new int[DepthFirstNode.ActorsMax];
    private int _entered;

    /// <summary>How many nodes of the stack are as they were in the execution before.</summary>
    private int _known;
    private int _depth;
    private int _position;

    public string Bound => reduces ? "all interleavings" : "all interleavings, one by one";

    public bool IsExhaustive => true;

    public bool WantsAccesses => reduces;

    public bool TryBegin(long ordinal)
    {
        if (ordinal > 0 && !MoveOn()) return false;
        _depth = -1;
        _position = 0;
        return true;
    }

    public void Repeat(long ordinal)
    {
        _known = _stack.Count;
        _depth = -1;
        _position = 0;
    }

    public bool TryGoOnAsBefore(out Transition transition)
    {
        if (_depth + 1 >= _known)
        {
            transition = default;
            return false;
        }

        _position = 0;
        transition = _way[++_depth];
        return true;
    }

    public int ChooseTransition(List<Transition> enabled)
    {
        _depth++;
        _position = 0;
        if (_depth < _stack.Count)
        {
            var known = _stack[_depth];
            return known.Chosen < enabled.Count && enabled[known.Chosen] == known.Transition ? known.Chosen : throw new NotDeterministicException();
        }

        if (enabled.Count > DepthFirstNode.TransitionsMax) throw new InvalidOperationException($"{enabled.Count} transitions at once: depth-first search looks at {DepthFirstNode.TransitionsMax}");
        var node = _spare.TryPop(out var spare) ? spare : new(_bits);
        node.Restart(enabled);
        if (_depth > 0 && reduces) node.InheritSleep(_stack[_depth - 1]);
        var first = node.FirstAwake();
        if (first < 0)
        {
            _spare.Push(node);
            return -1;
        }

        node.Choose(first);
        if (!reduces) node.WantAll();
        _stack.Add(node);
        if (_depth == _way.Length) Array.Resize(ref _way, 2 * _depth);
        _way[_depth] = enabled[first];
        return first;
    }

    public int Choose(ChoicePoint point, int alternatives) => _stack[_depth].Answer(_position++, alternatives);

    public void Performed(ReadOnlySpan<Access> accesses)
    {
        if (!reduces || _depth < _known) return;
        var node = _stack[_depth];
        node.Note(accesses);
        node.Actor = ActorOf(node.Transition);
        if (_depth >= _path.Length) Array.Resize(ref _path, 2 * _depth);
        var last = _lastOf[node.Actor];
        FindRaces(node, last);
        _path[_depth] = new(node.Actor, node.Stamp, last);
        _places.Add(_depth, node);
        _lastOf[node.Actor] = _depth;
        _entered = _depth + 1;
    }

    public void End(ExecutionEnd end)
    {
    }

    private int ActorOf(Transition transition)
    {
        var actor = _actors.IndexOf(transition);
        if (actor >= 0) return actor;
        if (_actors.Count == DepthFirstNode.ActorsMax) throw new InvalidOperationException($"more than {DepthFirstNode.ActorsMax} actors: depth-first search is for smaller scenarios");
        _lastOf[_actors.Count] = Nowhere;
        _actors.Add(transition);
        return _actors.Count - 1;
    }

    /// <summary>Takes back what was performed from here on.</summary>
    private void LeavePath(int depth)
    {
        if (_entered > depth) _places.RemoveFrom(depth, _entered);
        while (_entered > depth)
        {
            ref readonly var entry = ref _path[--_entered];
            _lastOf[entry.Actor] = entry.Previous;
        }
    }

    /// <summary>
    /// Works out what the new transition comes after, and where it could have come earlier: before the last transition that it conflicts with and does not
    /// come after anyway.
    /// </summary>
    private void FindRaces(DepthFirstNode node, int previous)
    {
        node.BeginClock(previous == Nowhere ? null : _stack[previous], _actors.Count);
        if (node.Acquires) AcquireReleased(node);
        var isRaceFound = false;

        // Clocks hold all that a transition comes after: what one of them holds already has nothing to add to it.
        for (var word = (_depth - 1) / PathPlaces.PlacesPerWord; word >= 0 && _depth > 0; word--)
        {
            for (var left = _places.ConflictsOf(node, word); left != 0;)
            {
                var i = TakeLast(ref left, word);
                ref readonly var entry = ref _path[i];
                if (node.CameAfter(entry.Actor, entry.Stamp) || (isRaceFound && node.ComesAfter(entry.Actor, entry.Stamp))) continue;
                var earlier = _stack[i];
                if (!earlier.ConflictsWith(node)) continue;
                if (!isRaceFound) isRaceFound = earlier.TryWantInstead(node.Transition, isEnabledLater: node.Acquires && IsReleasedSince(i, node));
                node.JoinAfter(earlier);
            }
        }
    }

    /// <summary>True when what made a transition possible was done behind a place on the path.</summary>
    private bool IsReleasedSince(int depth, DepthFirstNode node)
    {
        for (var word = (_depth - 1) / PathPlaces.PlacesPerWord; word >= depth / PathPlaces.PlacesPerWord; word--)
        {
            for (var left = _places.ReleasesOf(word); left != 0;)
            {
                var i = TakeLast(ref left, word);
                if (i > depth && _stack[i].ReleasesTo(node)) return true;
            }
        }

        return false;
    }

    private void AcquireReleased(DepthFirstNode node)
    {
        if (_depth == 0) return;
        for (var word = (_depth - 1) / PathPlaces.PlacesPerWord; word >= 0; word--)
        {
            for (var left = _places.ReleasesOf(word); left != 0;)
            {
                var i = TakeLast(ref left, word);
                ref readonly var entry = ref _path[i];
                if (!node.CameAfter(entry.Actor, entry.Stamp) && _stack[i].ReleasesTo(node)) node.JoinBefore(_stack[i]);
            }
        }
    }

    /// <summary>The last of the places of a word, which is taken out of them.</summary>
    private static int TakeLast(ref ulong places, int word)
    {
        var last = BitOperations.Log2(places);
        places ^= 1UL << last;
        return (word * PathPlaces.PlacesPerWord) + last;
    }

    private bool MoveOn()
    {
        while (_stack.Count > 0)
        {
            var last = _stack[^1];
            if (last.TryNextAnswer() || last.TryNextTransition())
            {
                _known = _stack.Count - 1;
                _way[_known] = last.Transition;
                LeavePath(_known);
                return true;
            }

            _stack.RemoveAt(_stack.Count - 1);
            _spare.Push(last);
        }

        return false;
    }

    /// <summary>A node of the stack in short.</summary>
    /// <param name="Actor">Whose its transition was.</param>
    /// <param name="Stamp">Which of its actor's it was, from 1.</param>
    /// <param name="Previous">Where its actor had done something before.</param>
    private readonly record struct PathEntry(int Actor, int Stamp, int Previous);
}
