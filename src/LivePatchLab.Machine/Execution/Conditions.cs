using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// One of the sixteen conditions of Jcc, SETcc and CMOVcc (SDM vol. 1, appendix B), in the ways it can be asked: of RFLAGS, or of
/// what has just been compared, without flags in between.
/// </summary>
internal interface ICondition
{
    static abstract bool OfBits(uint flags);

    /// <summary>After CMP or SUB, with both operands aligned to the top of 64 bits or extended to them; not for O, NO, P and NP.</summary>
    static abstract bool OfComparison(ulong a, ulong b);
}

internal static unsafe class Conditions
{
    /// <summary>The types in the order of their encoding.</summary>
    public static readonly Type[] ByEncoding =
    [
        typeof(Overflow), typeof(Not<Overflow>), typeof(Below), typeof(Not<Below>),
        typeof(Equal), typeof(Not<Equal>), typeof(BelowOrEqual), typeof(Not<BelowOrEqual>),
        typeof(Negative), typeof(Not<Negative>), typeof(EvenParity), typeof(Not<EvenParity>),
        typeof(Less), typeof(Not<Less>), typeof(LessOrEqual), typeof(Not<LessOrEqual>),
    ];

    /// <summary>The condition of a Jcc, SETcc or CMOVcc.</summary>
    public static Type Of(in Instruction instruction) => ByEncoding[(int)instruction.ConditionCode - (int)ConditionCode.o];

    /// <summary>True when comparison alone answers the condition, so that it can be fused with the instruction that sets the flags.</summary>
    public static bool IsOfComparison(Type condition) => condition != typeof(EvenParity) && condition != typeof(Not<EvenParity>)
        && condition != typeof(Overflow) && condition != typeof(Not<Overflow>);

    /// <summary>True when <see cref="Holds"/> can answer from the flags as they are; else they are to be <see cref="Settle"/>d first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsReady<TCondition>(CpuState* cpu) where TCondition : struct, ICondition
        => typeof(TCondition) == typeof(EvenParity) || typeof(TCondition) == typeof(Not<EvenParity>)
            ? cpu->FlagKind == LazyFlags.Bits
            : (uint)(cpu->FlagKind - LazyFlags.Subtract) < 8 || cpu->FlagKind == LazyFlags.Bits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds<TCondition>(CpuState* cpu) where TCondition : struct, ICondition
    {
        if (cpu->FlagKind == LazyFlags.Bits) return TCondition.OfBits((uint)cpu->FlagA);
        var shift = 64 - (8 << (cpu->FlagKind & 3));
        return cpu->FlagKind < LazyFlags.Logic
            ? TCondition.OfComparison(cpu->FlagA << shift, cpu->FlagB << shift)
            : TCondition.OfComparison(cpu->FlagA << shift, 0);
    }

    /// <summary>
    /// Works all flags out and does the operation again: reached by a jump, so that the common path needs no stack frame. It must not be
    /// marked NoInlining: the run-time makes no tail call in a method so marked.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Settle(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        LazyFlags.SetBits(cpu, LazyFlags.Status(cpu));
        ((Handler)op->Handler)(cpu, op, memory, budget);
    }

    internal readonly struct Overflow : ICondition
    {
        public static bool OfBits(uint flags) => (flags & LazyFlags.Overflow) != 0;

        public static bool OfComparison(ulong a, ulong b) => (long)((a ^ b) & (a ^ (a - b))) < 0;
    }

    internal readonly struct Below : ICondition
    {
        public static bool OfBits(uint flags) => (flags & LazyFlags.Carry) != 0;

        public static bool OfComparison(ulong a, ulong b) => a < b;
    }

    internal readonly struct Equal : ICondition
    {
        public static bool OfBits(uint flags) => (flags & LazyFlags.Zero) != 0;

        public static bool OfComparison(ulong a, ulong b) => a == b;
    }

    internal readonly struct BelowOrEqual : ICondition
    {
        public static bool OfBits(uint flags) => (flags & (LazyFlags.Carry | LazyFlags.Zero)) != 0;

        public static bool OfComparison(ulong a, ulong b) => a <= b;
    }

    internal readonly struct Negative : ICondition
    {
        public static bool OfBits(uint flags) => (flags & LazyFlags.Sign) != 0;

        public static bool OfComparison(ulong a, ulong b) => (long)(a - b) < 0;
    }

    internal readonly struct EvenParity : ICondition
    {
        public static bool OfBits(uint flags) => (flags & LazyFlags.Parity) != 0;

        // Parity is that of the lowest byte, which top-aligned operands do not show: whoever compares never asks this.
        public static bool OfComparison(ulong a, ulong b) => (BitOperations.PopCount((byte)(a - b)) & 1) == 0;
    }

    internal readonly struct Less : ICondition
    {
        public static bool OfBits(uint flags) => (((flags >> 7) ^ (flags >> 11)) & 1) != 0;

        public static bool OfComparison(ulong a, ulong b) => (long)a < (long)b;
    }

    internal readonly struct LessOrEqual : ICondition
    {
        public static bool OfBits(uint flags) => (flags & LazyFlags.Zero) != 0 || Less.OfBits(flags);

        public static bool OfComparison(ulong a, ulong b) => (long)a <= (long)b;
    }

    /// <summary>The odd half of the sixteen.</summary>
    internal readonly struct Not<TCondition> : ICondition
        where TCondition : struct, ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool OfBits(uint flags) => !TCondition.OfBits(flags);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool OfComparison(ulong a, ulong b) => !TCondition.OfComparison(a, b);
    }
}
