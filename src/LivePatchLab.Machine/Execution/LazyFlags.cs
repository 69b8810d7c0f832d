using System.Numerics;
using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The six status flags, worked out only when something reads them. What the SDM leaves undefined comes out as current Intel
/// processors do it, where that is one simple rule: AF is 0 after logic and shifts; each instruction's file says the rest.
/// </summary>
internal static unsafe class LazyFlags
{
    public const uint Carry = 1, Parity = 4, Adjust = 0x10, Zero = 0x40, Sign = 0x80, Overflow = 0x800;

    public const uint All = Carry | Parity | Adjust | Zero | Sign | Overflow;

    // Kinds, to which the width's Log2Bytes is added.
    // Add, Subtract: A op B. Logic: the result is A. WithCarry, WithBorrow: A op B gave C.
    // Increment, Decrement: the result is A, CF is bit 0 of B. Result: ZF, SF and PF of A, the rest is in B. Bits: all in A.
    // Product: SF and PF of A, the rest, but ZF, in B.
    public const int Add = 0, Subtract = 4, Logic = 8, WithCarry = 12, WithBorrow = 16, Increment = 20, Decrement = 24, Result = 28, Bits = 32, Product = 36;

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

    /// <summary>Replaces the flags of <paramref name="mask"/> and leaves the rest as they are.</summary>
    public static void Change(CpuState* cpu, uint mask, uint value) => SetBits(cpu, (Status(cpu) & ~mask) | (value & mask));

    public static void SetBits(CpuState* cpu, uint status)
    {
        cpu->FlagA = status & All;
        cpu->FlagKind = Bits;
    }

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
            WithCarry or WithBorrow => (Status(cpu) & Carry) != 0,
            _ => (cpu->FlagB & Carry) != 0,
        };
    }

    /// <summary>All six, at their places in RFLAGS.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Status(CpuState* cpu)
    {
        var kind = cpu->FlagKind & ~3;
        ulong a = cpu->FlagA, b = cpu->FlagB;
        var log2Bytes = cpu->FlagKind & 3;
        return kind switch
        {
            Add => OfSum(a, b, a + b, log2Bytes),
            WithCarry => OfSum(a, b, cpu->FlagC, log2Bytes),
            Subtract => OfDifference(a, b, a - b, log2Bytes),
            WithBorrow => OfDifference(a, b, cpu->FlagC, log2Bytes),
            Logic => OfResult(a, log2Bytes),
            Increment => (OfSum(a - 1, 1, a, log2Bytes) & ~Carry) | ((uint)b & Carry),
            Decrement => (OfDifference(a + 1, 1, a, log2Bytes) & ~Carry) | ((uint)b & Carry),
            Result => OfResult(a, log2Bytes) | (uint)b,
            Product => (OfResult(a, log2Bytes) & ~Zero) | (uint)b,
            _ => (uint)a,
        };
    }

    public static ulong ReadAll(CpuState* cpu) => cpu->SystemFlags | AlwaysSet | Status(cpu);

    public static void WriteAll(CpuState* cpu, ulong flags)
    {
        SetBits(cpu, (uint)flags);
        cpu->SystemFlags = (uint)flags & SystemFlag.All;
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
