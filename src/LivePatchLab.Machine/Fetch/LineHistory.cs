namespace LivePatchLab.Machine;

/// <summary>What a 64-byte line of code was, since every CPU last agreed on it: its bytes then, and each store after that.</summary>
internal sealed class LineHistory
{
    public const int LineBytes = 64;

    private readonly byte[] _base = new byte[LineBytes];
    private readonly List<CodeStore> _stores = [];
    private readonly Dictionary<int, long> _seen = [];
    private readonly List<long> _maintained = [];

    /// <summary>True when nobody has stored here since the line was last maintained, for an instruction cache that must be.</summary>
    public bool IsMaintained => _maintained.Count > 0 && _maintained[^1] > _stores[^1].Epoch;

    /// <summary>The epochs of the stores, oldest first; one may come several times.</summary>
    public IEnumerable<long> Epochs => _stores.Select(store => store.Epoch);

    /// <summary>Starts anew with the bytes on which all CPUs agree.</summary>
    public void Restart(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_base);
        _stores.Clear();
        if (_seen.Count > 0) _seen.Clear();
        _maintained.Clear();
    }

    /// <summary>What the line holds now is what instruction fetch gets from it, once a CPU serialises.</summary>
    public void Maintain(long epoch) => _maintained.Add(epoch);

    /// <summary>The epoch of the last maintenance up to <paramref name="epoch"/>, or 0.</summary>
    public long MaintainedBy(long epoch) => _maintained.FindLast(e => e <= epoch);

    public void Add(in CodeStore store) => _stores.Add(store);

    /// <summary>The epoch of the version of a chunk that this CPU saw last: having seen the new, it never sees the old again.</summary>
    public long SeenEpoch(int cpu, int chunk) => _seen.Count > 0 && _seen.TryGetValue((cpu * LineBytes) + chunk, out var epoch) ? epoch : 0;

    public void MarkSeen(int cpu, int chunk, long epoch) => _seen[(cpu * LineBytes) + chunk] = epoch;

    /// <summary>How many versions of the bytes [start, end) are newer than that of <paramref name="floorEpoch"/> and its <paramref name="oldestClock"/>.</summary>
    public int CountNewer(int start, int end, ref long floorEpoch, long oldestClock)
    {
        var count = 0;
        foreach (ref readonly var store in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stores))
        {
            if (store.Epoch <= floorEpoch || !store.Touches(start, end)) continue;
            if (store.ClockCycles <= oldestClock) floorEpoch = store.Epoch;
            else count++;
        }

        return count;
    }

    /// <summary>
    /// Of the version of the floor (0) and those newer than it (1, 2, …): the first and the last that stood in memory at some time of
    /// [<paramref name="from"/>, <paramref name="to"/>], a version standing from its own store to the next one, both included.
    /// </summary>
    public (int First, int Last) Standing(int start, int end, long floorEpoch, long from, long to)
    {
        int first = 0, last = 0, ordinal = 0;
        foreach (ref readonly var store in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stores))
        {
            if (store.Epoch <= floorEpoch || !store.Touches(start, end)) continue;
            ordinal++;
            if (store.Epoch < from) first = ordinal;
            if (store.Epoch <= to) last = ordinal;
        }

        return (first, Math.Max(first, last));
    }

    /// <summary>The epoch of the <paramref name="ordinal"/>-th version (from 1) of [start, end) that is newer than the floor.</summary>
    public long EpochOf(int start, int end, long floorEpoch, int ordinal)
    {
        foreach (ref readonly var store in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stores))
            if (store.Epoch > floorEpoch && store.Touches(start, end) && --ordinal == 0) return store.Epoch;
        throw new InvalidOperationException("a version was chosen that the line does not have");
    }

    /// <summary>Writes the bytes [start, end) as they were at an epoch.</summary>
    public void Copy(int start, int end, long epoch, Span<byte> destination)
    {
        _base.AsSpan(start, end - start).CopyTo(destination);
        foreach (ref readonly var store in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stores))
        {
            if (store.Epoch > epoch) break;
            store.Apply(start, end, destination);
        }
    }
}

/// <summary>One store to code: at most 16 bytes of one line.</summary>
internal readonly struct CodeStore
{
    private readonly UInt128 _bytes;
    private readonly byte _offset;
    private readonly byte _length;

    public CodeStore(long epoch, long clockCycles, int offset, ReadOnlySpan<byte> bytes)
    {
        Epoch = epoch;
        ClockCycles = clockCycles;
        _offset = (byte)offset;
        _length = (byte)bytes.Length;
        UInt128 value = 0;
        for (var i = bytes.Length - 1; i >= 0; i--) value = (value << 8) | bytes[i];
        _bytes = value;
    }

    public long Epoch { get; }

    public long ClockCycles { get; }

    public bool Touches(int start, int end) => _offset < end && _offset + _length > start;

    /// <summary>Writes this store's bytes where they lie in [start, end).</summary>
    public void Apply(int start, int end, Span<byte> destination)
    {
        for (var i = 0; i < _length; i++)
        {
            var at = _offset + i;
            if (at >= start && at < end) destination[at - start] = (byte)(_bytes >> (8 * i));
        }
    }
}
