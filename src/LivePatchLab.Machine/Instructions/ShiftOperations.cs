using System.Numerics;
using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>One of the shifts and rotates, for counts that have been masked already and are not 0 where flags are asked.</summary>
internal interface IShiftOperation
{
    /// <summary>True for rotates, which leave SF, ZF, AF and PF alone.</summary>
    static abstract bool IsRotate { get; }

    static abstract ulong Apply<TWidth>(ulong value, int count) where TWidth : struct, IWidth;

    /// <summary>
    /// CF and OF. OF is defined for a count of 1 only, and 0 here for every other (<see cref="ZeroedFlags"/>).
    /// </summary>
    static abstract uint CarryAndOverflow<TWidth>(ulong value, int count, ulong result) where TWidth : struct, IWidth;
}

internal readonly struct ShiftLeft : IShiftOperation
{
    public static bool IsRotate => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<TWidth>(ulong value, int count) where TWidth : struct, IWidth => value << count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint CarryAndOverflow<TWidth>(ulong value, int count, ulong result) where TWidth : struct, IWidth
    {
        var carry = TWidth.Bits == 64 ? (value >> (64 - count)) & 1 : (result >> TWidth.Bits) & 1;
        return ShiftFlags.Of(carry, ShiftFlags.TopTwoDiffer<TWidth>(value), count);
    }
}

internal readonly struct ShiftRight : IShiftOperation
{
    public static bool IsRotate => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<TWidth>(ulong value, int count) where TWidth : struct, IWidth => value >> count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint CarryAndOverflow<TWidth>(ulong value, int count, ulong result) where TWidth : struct, IWidth
        => ShiftFlags.Of((value >> (count - 1)) & 1, (value >> (TWidth.Bits - 1)) & 1, count);
}

internal readonly struct ShiftRightArithmetic : IShiftOperation
{
    public static bool IsRotate => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<TWidth>(ulong value, int count) where TWidth : struct, IWidth => (ulong)(TWidth.SignExtend(value) >> count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint CarryAndOverflow<TWidth>(ulong value, int count, ulong result) where TWidth : struct, IWidth
        => ShiftFlags.Of((ulong)(TWidth.SignExtend(value) >> (count - 1)) & 1, 0, count);
}

internal readonly struct RotateLeft : IShiftOperation
{
    public static bool IsRotate => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<TWidth>(ulong value, int count) where TWidth : struct, IWidth => TWidth.Bits switch
    {
        64 => BitOperations.RotateLeft(value, count),
        32 => BitOperations.RotateLeft((uint)value, count),
        _ => (value << (count & (TWidth.Bits - 1))) | (value >> ((TWidth.Bits - count) & (TWidth.Bits - 1))),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint CarryAndOverflow<TWidth>(ulong value, int count, ulong result) where TWidth : struct, IWidth
        => ShiftFlags.Of(result & 1, ShiftFlags.TopTwoDiffer<TWidth>(value), count);
}

internal readonly struct RotateRight : IShiftOperation
{
    public static bool IsRotate => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply<TWidth>(ulong value, int count) where TWidth : struct, IWidth => TWidth.Bits switch
    {
        64 => BitOperations.RotateRight(value, count),
        32 => BitOperations.RotateRight((uint)value, count),
        _ => (value >> (count & (TWidth.Bits - 1))) | (value << ((TWidth.Bits - count) & (TWidth.Bits - 1))),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint CarryAndOverflow<TWidth>(ulong value, int count, ulong result) where TWidth : struct, IWidth
        => ShiftFlags.Of((result >> (TWidth.Bits - 1)) & 1, (value ^ (value >> (TWidth.Bits - 1))) & 1, count);
}

internal static class ShiftFlags
{
    /// <summary>CF, and OF of a shift by 1, to their places in RFLAGS.</summary>
    public static uint Of(ulong carry, ulong overflow, int count) => (uint)(carry | (count == 1 ? overflow << 11 : 0));

    /// <summary>1 when a shift to the left by 1 changes the sign.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong TopTwoDiffer<TWidth>(ulong value) where TWidth : struct, IWidth
        => ((value >> (TWidth.Bits - 1)) ^ (value >> (TWidth.Bits - 2))) & 1;
}
