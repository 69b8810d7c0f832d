namespace LivePatchLab.Patching;

/// <summary>What may be asked of code patching on a machine whose other CPUs go on. A protocol promises some of them, under some fetch models.</summary>
[Flags]
public enum Invariants
{
    None = 0,

    /// <summary>Between publishing and the last clearing of the patcher's state, every #BP at a site is consumed.</summary>
    TrapsAreConsumed = 1 << 0,

    /// <summary>No CPU retires, at a site, an instruction that is neither an old one, nor a new one, nor INT3.</summary>
    NothingTorn = 1 << 1,

    /// <summary>Tail bytes differ from the old ones only while INT3 stands in front of them and every CPU has serialised since it does.</summary>
    TailBehindInt3 = 1 << 2,

    /// <summary>The first byte becomes new only when no CPU can be given an old tail.</summary>
    FirstByteLast = 1 << 3,

    /// <summary>Memory of a descriptor is not used again while a handler may hold it.</summary>
    DescriptorOutlivesHandlers = 1 << 4,

    /// <summary>After the patcher has returned, no CPU can execute the old instruction or INT3.</summary>
    NewAfterReturn = 1 << 5,

    /// <summary>No saved RIP points into a site behind its first byte while that is being changed.</summary>
    NobodyInside = 1 << 6,

    /// <summary>The patching code and the path of #BP never depend on a site that can be patched.</summary>
    HandlerIsNotPatched = 1 << 7,

    /// <summary>Whoever comes by a site gets the effect of the old code, or of the new, and not that of some instructions of each.</summary>
    EffectIsOldOrNew = 1 << 8,

    /// <summary>Nobody waits for IPIs with interrupts off, nor while holding a lock that a handler needs.</summary>
    WaitsWithInterruptsOn = 1 << 9,

    /// <summary>INT3s of others survive, and their traps reach their owners.</summary>
    ForeignInt3Survives = 1 << 10,

    /// <summary>Whenever a handler searches it, the array of sites ascends and stays within its bounds.</summary>
    ArrayIsSorted = 1 << 11,
}

/// <summary>The invariants by the numbers that the lab's documents give them.</summary>
public static class InvariantNames
{
    public const int Count = 12;

    /// <summary>The invariants of a set, I1 first.</summary>
    public static IEnumerable<Invariants> Each(this Invariants set)
    {
        for (var i = 0; i < Count; i++)
            if (((int)set & (1 << i)) != 0) yield return (Invariants)(1 << i);
    }

    /// <summary>"I2", or "I1, I2" for a set; "none" for the empty one.</summary>
    public static string Show(this Invariants set)
        => set == Invariants.None ? "none" : string.Join(", ", set.Each().Select(i => $"I{int.TrailingZeroCount((int)i) + 1}"));

    /// <summary>The invariant of a number from 1 to 12, as in "I2".</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such number.</exception>
    public static Invariants Numbered(int number)
        => number is >= 1 and <= Count ? (Invariants)(1 << (number - 1)) : throw new ArgumentOutOfRangeException(nameof(number), number, $"the invariants are I1 to I{Count}");
}
