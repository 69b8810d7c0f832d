using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>One state on the path of a depth-first search: what could be done in it, what has been, what is worth doing, and what the transition chosen last touched.</summary>
internal sealed class DepthFirstNode(ThingBits bits)
{
    public const int TransitionsMax = 64, ActorsMax = 64;

    private readonly Transition[] _enabled = new Transition[TransitionsMax];
    private readonly int[] _clock = new int[ActorsMax];

    /// <summary>What the actor's transition was known to come after before its conflicts counted.</summary>
    private readonly int[] _before = new int[ActorsMax];
    private readonly List<(int Choice, int Alternatives)> _answers = [];
    private readonly List<Sleeper> _sleep = [];
    private Access[] _accesses = new Access[16];
    private int _accessCount;
    private int _enabledCount;

    /// <summary>How many actors there were when the clocks were made; those behind have no part in them.</summary>
    private int _actors;
    private ulong _wanted;
    private ulong _done;

    /// <summary>What the transition touched.</summary>
    public ulong TouchedBits { get; private set; }

    /// <summary>What it wrote of that.</summary>
    public ulong WrittenBits { get; private set; }

    public int Chosen { get; private set; }

    public Transition Transition => _enabled[Chosen];

    public int Actor { get; set; }

    public bool Acquires { get; private set; }

    public bool Releases { get; private set; }

    private ReadOnlySpan<Access> Accesses => _accesses.AsSpan(0, _accessCount);

    private TouchedThings Things => new(TouchedBits, WrittenBits, Accesses);

    public void Restart(List<Transition> enabled)
    {
        _enabledCount = enabled.Count;
        for (var i = 0; i < enabled.Count; i++) _enabled[i] = enabled[i];
        _wanted = _done = 0;
        _sleep.Clear();
        ForgetTransition();
    }

    /// <summary>What slept above, or was done there before, still sleeps unless the transition that led here conflicts with it.</summary>
    public void InheritSleep(DepthFirstNode parent)
    {
        foreach (var sleeper in parent._sleep)
            if (sleeper.Transition != parent.Transition && !parent.ConflictsWith(sleeper)) _sleep.Add(sleeper);
    }

    public int FirstAwake()
    {
        for (var i = 0; i < _enabledCount; i++)
            if (!Sleeps(_enabled[i])) return i;
        return -1;
    }

    public void Choose(int index)
    {
        Chosen = index;
        _wanted |= 1UL << index;
    }

    public void WantAll() => _wanted = _enabledCount == 64 ? ulong.MaxValue : (1UL << _enabledCount) - 1;

    public int Answer(int position, int alternatives)
    {
        if (position == _answers.Count) _answers.Add((0, alternatives));
        return _answers[position].Alternatives == alternatives ? _answers[position].Choice : throw new NotDeterministicException();
    }

    /// <summary>Adds what the transition touched to what it touched with other answers: it sleeps with all of that.</summary>
    public void Note(ReadOnlySpan<Access> accesses)
    {
        var isFirst = _accessCount == 0;
        foreach (var access in accesses)
        {
            if (!isFirst && Accesses.Contains(access)) continue;
            if (_accessCount == _accesses.Length) Array.Resize(ref _accesses, 2 * _accessCount);
            _accesses[_accessCount++] = access;
            Acquires |= access.Kind == AccessKind.Acquire;
            Releases |= access.Kind == AccessKind.Release;
            if (access.Kind > AccessKind.Write) continue;
            var bit = bits.Of(access.Thing);
            TouchedBits |= bit;
            if (access.Kind == AccessKind.Write) WrittenBits |= bit;
        }
    }

    public bool ConflictsWith(DepthFirstNode other) => MustConflict(other.TouchedBits, other.WrittenBits) || Things.ConflictWith(other.Things, bits);

    public void BeginClock(DepthFirstNode? previous, int actors)
    {
        _actors = actors;
        // Actors that have come up since then had done nothing yet. There are three or four: copying and clearing spans would take longer.
        var (known, clock, before) = (previous?._actors ?? 0, _clock, _before);
        for (var i = 0; i < actors; i++) before[i] = clock[i] = i < known ? previous!._clock[i] : 0;
        before[Actor] = ++clock[Actor];
    }

    public bool ReleasesTo(DepthFirstNode later)
    {
        foreach (var access in Accesses)
            if (access.Kind == AccessKind.Release && later.Accesses.Contains(new(access.Thing, AccessKind.Acquire))) return true;
        return false;
    }

    public void JoinBefore(DepthFirstNode earlier)
    {
        Join(_before, earlier);
        Join(_clock, earlier);
    }

    public void JoinAfter(DepthFirstNode earlier) => Join(_clock, earlier);

    /// <summary>Which of its actor's transitions this is, from 1.</summary>
    public int Stamp => _clock[Actor];

    /// <summary>True when a transition of an actor comes before this one whatever they touch: by program order, or because something was handed on.</summary>
    public bool CameAfter(int actor, int stamp) => _before[actor] >= stamp;

    /// <summary>The same, conflicts that were found so far included.</summary>
    public bool ComesAfter(int actor, int stamp) => _clock[actor] >= stamp;

    /// <summary>
    /// Here another transition is to be tried too: the given one, or, where it cannot be done here, everything that can. False where it could be done but for
    /// the interrupts of its CPU, which are off here: it has to come before they went off.
    /// </summary>
    /// <param name="later">The transition.</param>
    /// <param name="isEnabledLater">True when somebody has made it possible only behind this place: an IPI that had not been sent yet.</param>
    public bool TryWantInstead(Transition later, bool isEnabledLater)
    {
        for (var i = 0; i < _enabledCount; i++)
        {
            if (_enabled[i] != later) continue;
            _wanted |= 1UL << i;
            return true;
        }

        if (later.Cpu == Transition.Cpu && !isEnabledLater) return false;
        WantAll();
        return true;
    }

    /// <summary>Another answer to what the chosen transition left open.</summary>
    public bool TryNextAnswer()
    {
        for (var i = _answers.Count - 1; i >= 0; i--)
        {
            var (choice, alternatives) = _answers[i];
            if (choice + 1 == alternatives) continue;
            _answers[i] = (choice + 1, alternatives);
            _answers.RemoveRange(i + 1, _answers.Count - i - 1);
            return true;
        }

        return false;
    }

    /// <summary>Another transition that is worth trying here; the one before goes to sleep.</summary>
    public bool TryNextTransition()
    {
        _done |= 1UL << Chosen;
        for (var left = _wanted & ~_done; left != 0; left &= left - 1)
        {
            var next = System.Numerics.BitOperations.TrailingZeroCount(left);
            if (Sleeps(_enabled[next])) continue;
            _sleep.Add(new(Transition, Accesses.ToArray(), TouchedBits, WrittenBits));
            Chosen = next;
            ForgetTransition();
            return true;
        }

        return false;
    }

    /// <summary>What both touch, and one of them writes, is one thing and no other.</summary>
    private bool MustConflict(ulong otherTouched, ulong otherWritten) => (((WrittenBits & otherTouched) | (otherWritten & TouchedBits)) & ~bits.Shared) != 0;

    private bool ConflictsWith(Sleeper sleeper) => MustConflict(sleeper.TouchedBits, sleeper.WrittenBits) || Things.ConflictWith(new(sleeper.TouchedBits, sleeper.WrittenBits, sleeper.Accesses), bits);

    private bool Sleeps(Transition transition)
    {
        foreach (var sleeper in _sleep)
            if (sleeper.Transition == transition) return true;
        return false;
    }

    private void ForgetTransition()
    {
        _answers.Clear();
        _accessCount = 0;
        TouchedBits = WrittenBits = 0;
        Acquires = Releases = false;
    }

    private static void Join(int[] clock, DepthFirstNode earlier)
    {
        var other = earlier._clock;
        for (var i = 0; i < earlier._actors; i++)
            if (other[i] > clock[i]) clock[i] = other[i];
    }

    private readonly record struct Sleeper(Transition Transition, Access[] Accesses, ulong TouchedBits, ulong WrittenBits);
}
