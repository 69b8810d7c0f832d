using System.Runtime.InteropServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One instruction of a trace, and where the trace goes on behind it.</summary>
internal struct TraceInstruction
{
    public Instruction Instruction;

    /// <summary>For a conditional branch: whether the trace goes on where it is taken.</summary>
    public bool GoesOnTaken;

    /// <summary>For a call or return: whether the trace goes on behind it, at <see cref="Next"/>.</summary>
    public bool IsFollowed;

    public ulong Next;
}

/// <summary>
/// Puts together what becomes one unit: the instructions that a CPU has just executed, as a sample of what comes next time (Duesterwald and Bala,
/// "Software Profiling for Hot Path Prediction", ASPLOS 2000). It goes through calls, and through returns whose call is in it; it ends where a loop begins that
/// does not lead to its own start, and of a loop that does it holds as many rounds as there is room for.
/// </summary>
internal sealed unsafe class TraceBuilder(GuestMemory memory, BlockCache blocks, VolatileInstructions changing)
{
    public const int LongestTrace = 80;

    // How far short loops are rolled out. A unit that does not fit in what is left of a turn is executed precisely, which is slow.
    private const int LongestRounds = 44;

    // What a CPU has to stop in, one instruction after the other.
    private const int LongestStraight = 24;

    private readonly MemoryFetch _fetch = new(memory);
    private readonly TraceInstruction[] _trace = new TraceInstruction[LongestTrace];
    private readonly List<(ulong Start, int Length)> _segments = [];
    private readonly HashSet<ulong> _seen = [];
    private readonly List<ulong> _returns = [];
    private readonly Dictionary<ulong, (ulong Target, int Hits, int Others)> _targets = [];

    public ReadOnlySpan<TraceInstruction> Trace => _trace.AsSpan(0, Count);

    public int Count { get; private set; }

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

    /// <summary>The trace of a path that has been executed.</summary>
    /// <param name="path">The addresses of its instructions, and then where it went on.</param>
    public void Build(ReadOnlySpan<ulong> path)
    {
        Begin(path[0]);
        _returns.Clear();
        var wholeRounds = 0;
        for (var i = 0; i < path.Length - 1 && Count < LongestTrace; i++)
        {
            if (path[i] != Next || (i > 0 && changing.Contains(Next))) break;
            if (i > 0 && Next == path[0])
            {
                var round = Count - wholeRounds;
                wholeRounds = Count;
                if (Count + round > LongestRounds) break;
            }

            if (!TryAdd()) break;
            if (i == 0 && changing.Contains(path[0])) return;
            if (!TryFollow(path, i)) break;
        }

        // Where room runs out in the middle of a round, the loop is left where it begins, so that it does not begin at each of its instructions in turn.
        var isCutOff = Count == LongestTrace || Count == path.Length - 1;
        if (wholeRounds == 0 || !isCutOff || Next == path[0]) return;
        Count = wholeRounds;
        Next = path[0];
    }

    /// <summary>Straight code of a unit, whatever path was executed: what a CPU can stop in. It holds no byte that the unit does not, and so goes with it.</summary>
    public void BuildStraight(NativeUnit unit, ulong start)
    {
        Begin(start);
        while (Count < LongestStraight && unit.Holds(Next))
        {
            if (!TryAdd()) break;
            if (_trace[Count - 1].Instruction.FlowControl is not (FlowControl.Next or FlowControl.ConditionalBranch)) break;
        }
    }

    private void Begin(ulong start)
    {
        Count = 0;
        IsCutShort = false;
        _segments.Clear();
        _seen.Clear();
        Next = start;
    }

    /// <summary>True for a return that has been seen to go mostly to this place: it is followed though its call is not in the trace.</summary>
    private bool HasOneTarget(ulong rip, ulong target)
    {
        ref var seen = ref CollectionsMarshal.GetValueRefOrAddDefault(_targets, rip, out var isKnown);
        if (!isKnown || (seen.Target != target && seen.Others >= seen.Hits)) seen = (target, 0, 0);
        else if (seen.Target == target) seen.Hits++;
        else seen.Others++;
        return seen.Target == target && seen.Hits > 3 * seen.Others && IsExpectable(target);
    }

    /// <summary>True for an address that, and the negative of which, can be the displacement of a comparison.</summary>
    public static bool IsExpectable(ulong target) => (long)target == (int)target && (int)target != int.MinValue;

    private bool TryAdd()
    {
        ref var entry = ref _trace[Count];
        entry = default;
        _fetch.Begin(Next);
        _fetch.Decode(out entry.Instruction);
        if (_fetch.IsStarved || (long)_fetch.EndAddress != (int)_fetch.EndAddress) return false;
        IsCutShort = blocks.IsDirty(Next, (int)(_fetch.EndAddress - Next));
        if (IsCutShort || !NativeInstructions.IsTranslated(entry.Instruction) || Interpreted.Contains(Next)) return false;
        if (_seen.Add(Next))
        {
            var length = (int)(_fetch.EndAddress - Next);
            if (_segments.Count > 0 && _segments[^1] is var (start, before) && start + (ulong)before == Next) _segments[^1] = (start, before + length);
            else _segments.Add((Next, length));
        }

        Count++;
        Next = _fetch.EndAddress;
        return true;
    }

    /// <summary>False where the trace ends with the instruction added last; else <see cref="Next"/> is where the path goes on.</summary>
    private bool TryFollow(ReadOnlySpan<ulong> path, int index)
    {
        ref var entry = ref _trace[Count - 1];
        ref readonly var instruction = ref entry.Instruction;
        var next = path[index + 1];
        switch (instruction.FlowControl)
        {
            case FlowControl.Next:
                return true;
            case FlowControl.ConditionalBranch:
                entry.GoesOnTaken = next == instruction.NearBranchTarget && next != instruction.NextIP;
                if (!entry.GoesOnTaken && next != instruction.NextIP) return false;
                if (entry.GoesOnTaken && next <= instruction.IP && next != path[0])
                {
                    entry.GoesOnTaken = false;
                    return false;
                }

                Next = next;
                return true;
            case FlowControl.UnconditionalBranch:
                if (next != instruction.NearBranchTarget || (next <= instruction.IP && next != path[0])) return false;
                Next = next;
                return true;
            case FlowControl.Call:
            case FlowControl.IndirectCall:
                if (!IsExpectable(next) || (instruction.FlowControl == FlowControl.Call && next != instruction.NearBranchTarget)) return false;
                _returns.Add(instruction.NextIP);
                break;
            case FlowControl.Return:
                if (_returns.Count == 0)
                {
                    if (!HasOneTarget(instruction.IP, next)) return false;
                    break;
                }

                if (next != _returns[^1]) return false;
                _returns.RemoveAt(_returns.Count - 1);
                break;
            default:
                return false;
        }

        // Recursion is a loop too.
        if (next != path[0] && _seen.Contains(next)) return false;
        entry.IsFollowed = true;
        entry.Next = Next = next;
        return true;
    }
}
