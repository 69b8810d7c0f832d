namespace LivePatchLab.Machine;

/// <summary>The CPUs that can go on, the one furthest behind first; equal clocks go by CPU number. A binary heap that knows where each CPU stands in it.</summary>
internal sealed class ReadyQueue(int cpus)
{
    private readonly (long Clock, int Cpu)[] _heap = new (long, int)[cpus];
    private readonly int[] _position = Enumerable.Repeat(-1, cpus).ToArray();
    private int _count;

    public bool IsEmpty => _count == 0;

    /// <summary>The clock of the CPU furthest behind.</summary>
    public long FirstClock => _count > 0 ? _heap[0].Clock : long.MaxValue;

    public bool Contains(int cpu) => _position[cpu] >= 0;

    public int Pop()
    {
        var first = _heap[0].Cpu;
        Remove(first);
        return first;
    }

    /// <summary>Puts a CPU in, or moves it to where its new clock belongs.</summary>
    public void Set(int cpu, long clock)
    {
        var at = _position[cpu];
        if (at < 0)
        {
            at = _count++;
            Place(at, (clock, cpu));
            Rise(at);
        }
        else
        {
            _heap[at].Clock = clock;
            Rise(at);
            Sink(_position[cpu]);
        }
    }

    public void Remove(int cpu)
    {
        var at = _position[cpu];
        if (at < 0) return;
        _position[cpu] = -1;
        if (at == --_count) return;
        var moved = _heap[_count];
        Place(at, moved);
        Rise(at);
        Sink(_position[moved.Cpu]);
    }

    private void Place(int at, (long Clock, int Cpu) entry)
    {
        _heap[at] = entry;
        _position[entry.Cpu] = at;
    }

    private void Rise(int at)
    {
        var entry = _heap[at];
        while (at > 0)
        {
            var parent = (at - 1) >> 1;
            if (!IsBefore(entry, _heap[parent])) break;
            Place(at, _heap[parent]);
            at = parent;
        }

        Place(at, entry);
    }

    private void Sink(int at)
    {
        var entry = _heap[at];
        while (true)
        {
            var child = (2 * at) + 1;
            if (child >= _count) break;
            if (child + 1 < _count && IsBefore(_heap[child + 1], _heap[child])) child++;
            if (!IsBefore(_heap[child], entry)) break;
            Place(at, _heap[child]);
            at = child;
        }

        Place(at, entry);
    }

    private static bool IsBefore((long Clock, int Cpu) left, (long Clock, int Cpu) right)
        => left.Clock < right.Clock || (left.Clock == right.Clock && left.Cpu < right.Cpu);
}
