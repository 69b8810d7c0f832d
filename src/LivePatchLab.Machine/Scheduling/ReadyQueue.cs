using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The CPUs that can go on, the one furthest behind first; equal clocks go by CPU number. A tournament: every node of a binary tree holds the lesser of the two below
/// it, so a change is carried to the root with no branch that depends on the clocks. With short quanta that is what a machine does most. The first is kept beside the
/// tree, so who comes next, and who is behind that one, is known before the CPU that has had its turn is back in: nothing waits for the tree to be in order.
/// </summary>
internal sealed class ReadyQueue
{
    private const long Absent = long.MaxValue;

    /// <summary>A key is the clock with the CPU's number below it.</summary>
    private static readonly int CpuBits = BitOperations.Log2(MachineOptions.CpusMax);

    /// <summary>The first clock that no machine reaches: 2^53 cycles are a month at 3 GHz.</summary>
    private static readonly long ClockEnd = 1L << (63 - CpuBits);

    /// <summary>The root is 1; below node n are 2n and 2n + 1; the CPUs' own keys are the leaves.</summary>
    private readonly long[] _least;
    private readonly int _leaves;

    /// <summary>The key of the CPU furthest behind. It is not in the tree.</summary>
    private long _first = Absent;

    public ReadyQueue(int cpus)
    {
        _leaves = (int)BitOperations.RoundUpToPowerOf2((uint)cpus);
        _least = new long[2 * _leaves];
        Array.Fill(_least, Absent);
    }

    public bool IsEmpty => _first == Absent;

    /// <summary>The clock of the CPU furthest behind; where there is none, one that is never reached.</summary>
    public long FirstClock => IsEmpty ? long.MaxValue : _first >> CpuBits;

    /// <summary>The CPU furthest behind; there must be one.</summary>
    public int FirstCpu => CpuOf(_first);

    /// <summary>The CPU that is behind the first, or -1.</summary>
    public int SecondCpu => _least[1] == Absent ? -1 : CpuOf(_least[1]);

    public bool Contains(int cpu) => IsFirst(cpu) || _least[_leaves + cpu] != Absent;

    /// <summary>Takes out the CPU furthest behind; there must be one.</summary>
    public int TakeFirst()
    {
        var cpu = FirstCpu;
        DropFirst();
        return cpu;
    }

    /// <summary>Puts in a CPU that is not there, and takes out the one furthest behind, which may be the same.</summary>
    /// <exception cref="InvalidOperationException">The clock is beyond all that a machine can count.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Exchange(int cpu, long clock)
    {
        var key = KeyOf(cpu, clock);
        var first = _first;
        if (key < first) return cpu;
        Follow(cpu, key);
        return CpuOf(first);
    }

    /// <summary>Puts a CPU in, or moves it to where its new clock belongs.</summary>
    /// <exception cref="InvalidOperationException">The clock is beyond all that a machine can count.</exception>
    public void Set(int cpu, long clock)
    {
        var key = KeyOf(cpu, clock);
        if (IsFirst(cpu))
        {
            Follow(cpu, key);
        }
        else if (key < _first)
        {
            Remove(cpu);
            if (!IsEmpty) Carry(FirstCpu, _first);
            _first = key;
        }
        else
        {
            Carry(cpu, key);
        }
    }

    public void Remove(int cpu)
    {
        if (IsFirst(cpu)) DropFirst();
        else if (Contains(cpu)) Carry(cpu, Absent);
    }

    private static int CpuOf(long key) => (int)key & (MachineOptions.CpusMax - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long KeyOf(int cpu, long clock)
    {
        if ((ulong)clock >= (ulong)ClockEnd) RefuseClock(cpu, clock);
        return (clock << CpuBits) | (long)cpu;
    }

    private bool IsFirst(int cpu) => !IsEmpty && FirstCpu == cpu;

    private void DropFirst()
    {
        _first = _least[1];
        if (!IsEmpty) Carry(FirstCpu, Absent);
    }

    /// <summary>A key that is not in the tree takes the place of the first, or that of the least in the tree, which then is the first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Follow(int cpu, long key)
    {
        var least = _least[1];
        if (key < least)
        {
            _first = key;
            return;
        }

        _first = least;
        Carry(CpuOf(least), Absent);
        Carry(cpu, key);
    }

    private static void RefuseClock(int cpu, long clock)
        => throw new InvalidOperationException($"CPU {cpu} would go on at cycle {clock}; a machine's clocks end at {ClockEnd}");

    /// <summary>Of two keys, none of which is negative. A branch here would be guessed wrongly every other time, and the JIT makes one of <see cref="Math.Min(long, long)"/> in a loop.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Lesser(long a, long b)
    {
        var difference = a - b;
        return b + (difference & (difference >> 63));
    }

    private void Carry(int cpu, long key)
    {
        // The bounds hold for every CPU of the machine; the first node is checked, and all above it are less.
        var node = (nint)(uint)(_leaves + cpu);
        _least[node] = key;
        ref var root = ref MemoryMarshal.GetArrayDataReference(_least);
        while (node > 1)
        {
            key = Lesser(key, Unsafe.Add(ref root, node ^ 1));
            node >>= 1;
            Unsafe.Add(ref root, node) = key;
        }
    }
}
