using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One instruction of a trace.</summary>
internal struct TraceInstruction
{
    public Instruction Instruction;

    /// <summary>A conditional branch behind which the trace goes on where it is taken, not where it is not.</summary>
    public bool GoesOnTaken;
}

/// <summary>
/// Decodes what becomes one unit: code in the order in which it is likely to run. It goes straight on behind a conditional branch forward,
/// follows direct jumps, and goes round a loop that leads to its own start as often as there is room.
/// </summary>
internal sealed unsafe class TraceBuilder(GuestMemory memory, BlockCache blocks)
{
    public const int LongestTrace = 44;

    // Where a jump is followed, the code behind it may be translated twice; so not into long traces.
    private const int JumpFollowedBefore = 20;

    private readonly MemoryFetch _fetch = new(memory);
    private readonly TraceInstruction[] _trace = new TraceInstruction[LongestTrace];
    private readonly List<(ulong Start, int Length)> _segments = [];

    public ReadOnlySpan<TraceInstruction> Trace => _trace.AsSpan(0, Count);

    public int Count { get; private set; }

    /// <summary>Of the trace's instructions, those before any is repeated.</summary>
    public int StraightCount { get; private set; }

    /// <summary>The stretches of memory that it was decoded from.</summary>
    public IReadOnlyList<(ulong Start, int Length)> Segments => _segments;

    /// <summary>Where it goes on when its last instruction is no branch.</summary>
    public ulong Next { get; private set; }

    /// <summary>True when it ends only because the next instruction was dirty at the time.</summary>
    public bool IsCutShort { get; private set; }

    /// <summary>Instructions that are to be left to the interpreter though they could be translated: they fault again and again.</summary>
    public HashSet<ulong> Interpreted { get; } = [];

    /// <summary>What memory holds in the segments, one behind the other.</summary>
    public byte[] CopyBytes()
    {
        var bytes = new byte[_segments.Sum(segment => segment.Length)];
        var at = 0;
        foreach (var (start, length) in _segments)
        {
            new ReadOnlySpan<byte>(memory.Origin + (long)start, length).CopyTo(bytes.AsSpan(at));
            at += length;
        }

        return bytes;
    }

    public void Build(ulong start)
    {
        Count = 0;
        StraightCount = 0;
        IsCutShort = false;
        _segments.Clear();
        Next = start;
        var segment = start;
        while (Count < LongestTrace)
        {
            ref var entry = ref _trace[Count];
            entry.GoesOnTaken = false;
            _fetch.Begin(Next);
            _fetch.Decode(out entry.Instruction);
            if (_fetch.IsStarved || (long)_fetch.EndAddress != (int)_fetch.EndAddress) break;
            IsCutShort = blocks.IsDirty(Next) || blocks.IsDirty(_fetch.EndAddress - 1);
            if (IsCutShort || !NativeInstructions.IsTranslated(entry.Instruction) || Interpreted.Contains(Next)) break;
            Count++;
            var here = Next;
            Next = _fetch.EndAddress;
            if (entry.Instruction.FlowControl == FlowControl.Next) continue;
            if (!TryFollow(ref entry, start, here, ref segment)) break;
        }

        if (Next > segment && StraightCount == 0) _segments.Add((segment, (int)(Next - segment)));
        if (StraightCount == 0) StraightCount = Count;
    }

    /// <summary>False where the trace ends with this branch; else it goes on at <see cref="Next"/>.</summary>
    private bool TryFollow(ref TraceInstruction entry, ulong start, ulong here, ref ulong segment)
    {
        var instruction = entry.Instruction;
        if (instruction.FlowControl is not (FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)) return false;
        var target = instruction.NearBranchTarget;
        var isConditional = instruction.FlowControl == FlowControl.ConditionalBranch;
        if (target == start)
        {
            // Once more round, if a whole round has room.
            var round = StraightCount == 0 ? Count : StraightCount;
            if (Count + round > LongestTrace) return false;
            if (StraightCount == 0)
            {
                _segments.Add((segment, (int)(Next - segment)));
                StraightCount = Count;
            }

            entry.GoesOnTaken = isConditional;
            Next = target;
            return true;
        }

        if (isConditional) return target > here;
        if (StraightCount != 0)
        {
            Next = target;
            return true;
        }

        if (Count >= JumpFollowedBefore || target <= here) return false;
        _segments.Add((segment, (int)(Next - segment)));
        segment = Next = target;
        return true;
    }
}
