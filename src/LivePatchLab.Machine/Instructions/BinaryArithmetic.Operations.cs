using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>One of the two-operand operations of the integer unit, and how its flags come out.</summary>
internal unsafe interface IBinaryOperation
{
    /// <summary>False for CMP and TEST, which only set flags.</summary>
    static abstract bool Writes { get; }

    /// <summary>True when the flags are those of comparing the result with 0; else those of comparing the operands.</summary>
    static abstract bool IsLogic { get; }

    static abstract ulong Apply(CpuState* cpu, ulong a, ulong b);

    static abstract void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth;
}

internal sealed unsafe partial class BinaryArithmetic
{
    private readonly struct Add : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => false;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a + b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth
            => LazyFlags.Set(cpu, LazyFlags.Add + TWidth.Log2Bytes, a, b);
    }

    private readonly struct Subtract : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => false;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a - b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth
            => LazyFlags.Set(cpu, LazyFlags.Subtract + TWidth.Log2Bytes, a, b);
    }

    private readonly struct Compare : IBinaryOperation
    {
        public static bool Writes => false;

        public static bool IsLogic => false;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a - b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth
            => LazyFlags.Set(cpu, LazyFlags.Subtract + TWidth.Log2Bytes, a, b);
    }

    private readonly struct AddWithCarry : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => false;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a + b + (LazyFlags.IsCarry(cpu) ? 1UL : 0);

        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth
            => LazyFlags.SetSum(cpu, a, b, result, TWidth.Log2Bytes);
    }

    private readonly struct SubtractWithBorrow : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => false;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a - b - (LazyFlags.IsCarry(cpu) ? 1UL : 0);

        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth
            => LazyFlags.SetDifference(cpu, a, b, result, TWidth.Log2Bytes);
    }

    private readonly struct And : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => true;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a & b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth => LazyFlags.SetLogic<TWidth>(cpu, result);
    }

    private readonly struct Test : IBinaryOperation
    {
        public static bool Writes => false;

        public static bool IsLogic => true;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a & b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth => LazyFlags.SetLogic<TWidth>(cpu, result);
    }

    private readonly struct Or : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => true;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a | b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth => LazyFlags.SetLogic<TWidth>(cpu, result);
    }

    private readonly struct ExclusiveOr : IBinaryOperation
    {
        public static bool Writes => true;

        public static bool IsLogic => true;

        public static ulong Apply(CpuState* cpu, ulong a, ulong b) => a ^ b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void SetFlags<TWidth>(CpuState* cpu, ulong a, ulong b, ulong result) where TWidth : struct, IWidth => LazyFlags.SetLogic<TWidth>(cpu, result);
    }
}
