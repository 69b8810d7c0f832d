using System.Numerics;
using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>What a 64-byte line of code was, since every CPU last agreed on it: its bytes then, and each store after that.</summary>
internal sealed unsafe class LineHistory
{
    public const int LineBytes = 64;

    private Bytes _base;

    // Most lines are stored to once before all CPUs agree again; those that are stored to more often have an array.
    private CodeStore _only;
    private CodeStore[] _stores = [];
    private int _count;

    // A bit for each byte that has been stored to.
    private ulong _touched;

    // Few lines are ever fetched while they are dirty, and few models have lines maintained.
    private Dictionary<int, long>? _seen;
    private List<long>? _maintained;

    /// <summary>The line's first byte.</summary>
    public GuestAddress Line { get; private set; }

    /// <summary>True when nobody has stored here since the line was last maintained, for an instruction cache that must be.</summary>
    public bool IsMaintained => _maintained is { Count: > 0 } && _maintained[^1] > Stores[^1].Epoch;

    /// <summary>The epochs of the stores, oldest first; one may come several times.</summary>
    public IEnumerable<long> Epochs => Stores.ToArray().Select(store => store.Epoch);

    private ReadOnlySpan<CodeStore> Stores => _count == 1 ? new ReadOnlySpan<CodeStore>(ref _only) : _stores.AsSpan(0, _count);

    /// <summary>Starts anew with the bytes on which all CPUs agree.</summary>
    /// <param name="line">Which line it is now.</param>
    /// <param name="bytes">Its 64 bytes in host memory.</param>
    public void Restart(GuestAddress line, byte* bytes)
    {
        Line = line;
        _base = Unsafe.ReadUnaligned<Bytes>(bytes);
        _count = 0;
        _touched = 0;
        if (_seen is { Count: > 0 }) _seen.Clear();
        _maintained?.Clear();
    }

    /// <summary>What the line holds now is what instruction fetch gets from it, once a CPU serialises.</summary>
    public void Maintain(long epoch) => (_maintained ??= []).Add(epoch);

    /// <summary>The epoch of the last maintenance up to <paramref name="epoch"/>, or 0.</summary>
    public long MaintainedBy(long epoch) => _maintained?.FindLast(e => e <= epoch) ?? 0;

    /// <summary>How many bytes from <paramref name="start"/> on nobody has stored to: there is one version of them.</summary>
    public int UntouchedFrom(int start) => Math.Min(LineBytes - start, BitOperations.TrailingZeroCount(_touched >> start));

    public void Add(in CodeStore store)
    {
        _touched |= store.Mask;
        if (_count == 0)
        {
            _only = store;
            _count = 1;
            return;
        }

        if (_count >= _stores.Length) Array.Resize(ref _stores, Math.Max(4, 2 * _count));
        if (_count == 1) _stores[0] = _only;
        _stores[_count++] = store;
    }

    /// <summary>The epoch of the version of a chunk that this CPU saw last: having seen the new, it never sees the old again.</summary>
    public long SeenEpoch(int cpu, int chunk) => _seen is not null && _seen.TryGetValue((cpu * LineBytes) + chunk, out var epoch) ? epoch : 0;

    public void MarkSeen(int cpu, int chunk, long epoch) => (_seen ??= [])[(cpu * LineBytes) + chunk] = epoch;

    /// <summary>How many versions of the bytes [start, end) are newer than that of <paramref name="floorEpoch"/> and its <paramref name="oldestClock"/>.</summary>
    public int CountNewer(int start, int end, ref long floorEpoch, long oldestClock)
    {
        var count = 0;
        foreach (ref readonly var store in Stores)
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
        foreach (ref readonly var store in Stores)
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
        foreach (ref readonly var store in Stores)
            if (store.Epoch > floorEpoch && store.Touches(start, end) && --ordinal == 0) return store.Epoch;
        throw new InvalidOperationException("a version was chosen that the line does not have");
    }

    /// <summary>Writes the bytes [start, end) as they were at an epoch.</summary>
    public void Copy(int start, int end, long epoch, Span<byte> destination)
    {
        _base[start..end].CopyTo(destination);
        foreach (ref readonly var store in Stores)
        {
            if (store.Epoch > epoch) break;
            store.Apply(start, end, destination);
        }
    }

    /// <summary>In the object itself: a patcher makes thousands of lines dirty, and each would have an array of its own to go to.</summary>
    [InlineArray(LineBytes)]
    private struct Bytes
    {
        private byte _first;
    }
}

/// <summary>One store to code: at most 16 bytes of one line.</summary>
internal readonly struct CodeStore
{
    // The first eight bytes and the others: a UInt128 would ask for room to be aligned in.
    private readonly ulong _low;
    private readonly ulong _high;
    private readonly byte _offset;
    private readonly byte _length;

    public CodeStore(long epoch, long clockCycles, int offset, ReadOnlySpan<byte> bytes)
    {
        Epoch = epoch;
        ClockCycles = clockCycles;
        _offset = (byte)offset;
        _length = (byte)bytes.Length;
        for (var i = bytes.Length - 1; i >= 8; i--) _high = (_high << 8) | bytes[i];
        for (var i = Math.Min(bytes.Length, 8) - 1; i >= 0; i--) _low = (_low << 8) | bytes[i];
    }

    public long Epoch { get; }

    public long ClockCycles { get; }

    /// <summary>A bit for each byte of the line.</summary>
    public ulong Mask => ((1UL << _length) - 1) << _offset;

    public bool Touches(int start, int end) => _offset < end && _offset + _length > start;

    /// <summary>Writes this store's bytes where they lie in [start, end).</summary>
    public void Apply(int start, int end, Span<byte> destination)
    {
        for (var i = 0; i < _length; i++)
        {
            var at = _offset + i;
            if (at >= start && at < end) destination[at - start] = (byte)((i < 8 ? _low : _high) >> (8 * (i % 8)));
        }
    }
}
