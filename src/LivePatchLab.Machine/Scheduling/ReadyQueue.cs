using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The CPUs that can go on, the one furthest behind first; equal clocks go by CPU number. A tournament: every node of a binary tree holds the lesser of the two below
/// it, so a change is carried to the root with no branch that depends on the clocks. With short quanta that is what a machine does most.
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

    public ReadyQueue(int cpus)
    {
        _leaves = (int)BitOperations.RoundUpToPowerOf2((uint)cpus);
        _least = new long[2 * _leaves];
        Array.Fill(_least, Absent);
    }

    public bool IsEmpty => _least[1] == Absent;

    /// <summary>The clock of the CPU furthest behind.</summary>
    public long FirstClock => IsEmpty ? long.MaxValue : _least[1] >> CpuBits;

    public bool Contains(int cpu) => _least[_leaves + cpu] != Absent;

    /// <summary>The CPU furthest behind; there must be one.</summary>
    public int FirstCpu => (int)_least[1] & (MachineOptions.CpusMax - 1);

    /// <summary>The CPU that would be first without this one, and its clock; false when there is none.</summary>
    public bool TryFindBehind(int cpu, out long clock, out int behind)
    {
        ref var root = ref MemoryMarshal.GetArrayDataReference(_least);
        var key = Absent;
        for (var node = (nint)(uint)(_leaves + cpu); node > 1; node >>= 1) key = Lesser(key, Unsafe.Add(ref root, node ^ 1));
        clock = key >> CpuBits;
        behind = (int)key & (MachineOptions.CpusMax - 1);
        return key != Absent;
    }

    /// <summary>Puts a CPU in, or moves it to where its new clock belongs.</summary>
    /// <exception cref="InvalidOperationException">The clock is beyond all that a machine can count.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(int cpu, long clock)
    {
        if ((ulong)clock >= (ulong)ClockEnd) RefuseClock(cpu, clock);
        Carry(cpu, (clock << CpuBits) | (long)cpu);
    }

    public void Remove(int cpu)
    {
        if (Contains(cpu)) Carry(cpu, Absent);
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
