using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// The six status flags, worked out only when something reads them. What the SDM leaves undefined is 0 (<see cref="ZeroedFlags"/>), but for the bit tests, which
/// leave it as it was.
/// </summary>
internal static unsafe class LazyFlags
{
    public const uint Carry = 1, Parity = 4, Adjust = 0x10, Zero = 0x40, Sign = 0x80, Overflow = 0x800;

    public const uint All = Carry | Parity | Adjust | Zero | Sign | Overflow;

    // Kinds, to which the width's Log2Bytes is added.
    // Add, Subtract: A op B. Logic: the result is A.
    // Increment, Decrement: the result is A, CF is bit 0 of B. Result: ZF, SF and PF of A, the rest is in B. Bits: all in A.
    public const int Add = 0, Subtract = 4, Logic = 8, Increment = 12, Decrement = 16, Result = 20, Bits = 24;

    /// <summary>As translated code leaves them, in A: <see cref="NativeThunks.PackFlags"/>. Nothing is worked out between one stay in it and the next.</summary>
    public const int Packed = 64;

    /// <summary>Added to a kind: the flags of the upper half of C are those of its lower half instead.</summary>
    public const int Replaced = 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* cpu, int kind, ulong a, ulong b)
    {
        cpu->FlagA = a;
        cpu->FlagB = b;
        cpu->FlagKind = kind;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetLogic<TWidth>(CpuState* cpu, ulong result) where TWidth : struct, IWidth
    {
        cpu->FlagA = result;
        cpu->FlagKind = Logic + TWidth.Log2Bytes;
    }

    /// <summary>ZF, SF and PF of a result, with the other three given.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetResult<TWidth>(CpuState* cpu, ulong result, uint others) where TWidth : struct, IWidth
        => Set(cpu, Result + TWidth.Log2Bytes, result, others);

    /// <summary>Replaces the flags of <paramref name="mask"/> and leaves the rest as they are, not worked out yet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Replace(CpuState* cpu, uint mask, uint value)
    {
        var before = (cpu->FlagKind & Replaced) != 0 ? cpu->FlagC : 0;
        cpu->FlagC = (before & ~(ulong)mask) | ((ulong)mask << 32) | (value & mask);
        cpu->FlagKind |= Replaced;
    }

    public static void SetBits(CpuState* cpu, uint status)
    {
        cpu->FlagA = status & All;
        cpu->FlagKind = Bits;
    }

    /// <summary>The flags of a sum with a carry in.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void SetSum(CpuState* cpu, ulong a, ulong b, ulong result, int log2Bytes) => SetBits(cpu, OfSum(a, b, result, log2Bytes));

    /// <summary>The flags of a difference with a borrow in.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void SetDifference(CpuState* cpu, ulong a, ulong b, ulong result, int log2Bytes) => SetBits(cpu, OfDifference(a, b, result, log2Bytes));

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool IsCarry(CpuState* cpu)
    {
        var shift = 64 - (8 << (cpu->FlagKind & 3));
        ulong a = cpu->FlagA << shift, b = cpu->FlagB << shift;
        return (cpu->FlagKind & ~3) switch
        {
            Add => a + b < a,
            Subtract => a < b,
            Logic => false,
            Bits => (cpu->FlagA & Carry) != 0,
            < Replaced => (cpu->FlagB & Carry) != 0,
            _ => (Status(cpu) & Carry) != 0,
        };
    }

    /// <summary>All six, at their places in RFLAGS.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Status(CpuState* cpu)
    {
        var isReplaced = (cpu->FlagKind & Replaced) != 0;
        ulong a = cpu->FlagA, b = cpu->FlagB;
        var log2Bytes = cpu->FlagKind & 3;
        var status = (cpu->FlagKind & ~(3 | Replaced)) switch
        {
            Add => OfSum(a, b, a + b, log2Bytes),
            Subtract => OfDifference(a, b, a - b, log2Bytes),
            Logic => OfResult(a, log2Bytes),
            Increment => (OfSum(a - 1, 1, a, log2Bytes) & ~Carry) | ((uint)b & Carry),
            Decrement => (OfDifference(a + 1, 1, a, log2Bytes) & ~Carry) | ((uint)b & Carry),
            Result => OfResult(a, log2Bytes) | (uint)b,
            Packed => NativeThunks.UnpackFlags(a),
            _ => (uint)a,
        };
        return isReplaced ? (status & ~(uint)(cpu->FlagC >> 32)) | (uint)cpu->FlagC : status;
    }

    /// <summary>Iced's bits at their places in RFLAGS.</summary>
    public static uint OfBits(RflagsBits bits)
    {
        var status = 0u;
        if ((bits & RflagsBits.CF) != 0) status |= Carry;
        if ((bits & RflagsBits.PF) != 0) status |= Parity;
        if ((bits & RflagsBits.AF) != 0) status |= Adjust;
        if ((bits & RflagsBits.ZF) != 0) status |= Zero;
        if ((bits & RflagsBits.SF) != 0) status |= Sign;
        if ((bits & RflagsBits.OF) != 0) status |= Overflow;
        return status;
    }

    public static ulong ReadAll(CpuState* cpu) => cpu->SystemFlags | cpu->HeldInterruptFlag | AlwaysSet | Status(cpu);

    public static void WriteAll(CpuState* cpu, ulong flags)
    {
        SetBits(cpu, (uint)flags);
        cpu->SystemFlags = (uint)flags & SystemFlag.All;
        cpu->HeldInterruptFlag = 0;
    }

    private const uint AlwaysSet = 2;

    private static uint OfSum(ulong a, ulong b, ulong result, int log2Bytes)
    {
        // The carry out of each bit, with or without a carry in (Hacker's Delight, 2-13).
        var carries = (a & b) | ((a | b) & ~result);
        var overflows = (a ^ result) & (b ^ result);
        return OfResult(result, log2Bytes) | Outer(carries, overflows, log2Bytes) | ((uint)(a ^ b ^ result) & Adjust);
    }

    private static uint OfDifference(ulong a, ulong b, ulong result, int log2Bytes)
    {
        var borrows = (~a & b) | ((~a | b) & result);
        var overflows = (a ^ b) & (a ^ result);
        return OfResult(result, log2Bytes) | Outer(borrows, overflows, log2Bytes) | ((uint)(a ^ b ^ result) & Adjust);
    }

    private static uint Outer(ulong carries, ulong overflows, int log2Bytes)
    {
        var top = (8 << log2Bytes) - 1;
        return ((uint)(carries >> top) & 1) | (((uint)(overflows >> top) & 1) << 11);
    }

    private static uint OfResult(ulong result, int log2Bytes)
    {
        var shift = 64 - (8 << log2Bytes);
        var top = result << shift;
        return (top == 0 ? Zero : 0)
            | ((uint)(top >> 63) << 7)
            | ((BitOperations.PopCount((uint)(byte)result) & 1) == 0 ? Parity : 0);
    }
}
