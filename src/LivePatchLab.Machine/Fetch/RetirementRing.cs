namespace LivePatchLab.Machine;

/// <summary>
/// Which stores one CPU cannot miss any more: for each number of instructions that it had retired when somebody stored, the last epoch
/// of then. What is further back than the queue is deep is told by one entry, so the ring is as long as the queue.
/// </summary>
internal sealed class RetirementRing(int queueDepth)
{
    private readonly (long Retired, long Epoch)[] _entries = new (long, long)[queueDepth + 2];
    private int _first;
    private int _count;

    public void Add(long retired, long epoch)
    {
        // An instruction in the middle of which the CPU itself stores counts as retired; a repeated one may turn out not to be yet.
        if (_count > 0 && At(_count - 1).Retired >= retired)
        {
            At(_count - 1).Epoch = epoch;
            return;
        }

        if (_count == _entries.Length)
        {
            // Of the counts in a full ring two at least lie beyond the queue, and only the later of them says anything.
            _first = (_first + 1) % _entries.Length;
            _count--;
        }

        At(_count++) = (retired, epoch);
    }

    /// <summary>The newest epoch by the time at which the CPU executed the instruction <paramref name="retired"/>, counted from 0.</summary>
    public long EpochBy(long retired)
    {
        for (var i = _count - 1; i >= 0; i--)
            if (At(i).Retired <= retired) return At(i).Epoch;
        return 0;
    }

    public void Clear() => _count = 0;

    private ref (long Retired, long Epoch) At(int index) => ref _entries[(_first + index) % _entries.Length];
}
