using System.Numerics;

namespace LivePatchLab.Machine;

internal sealed unsafe partial class BitManipulation
{
    private readonly struct AndNot : IBitManipulation
    {
        public static bool SetsFlags => true;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth => ~other & operand;

        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth => ZeroAndSign<TWidth>(result);
    }

    /// <summary>From bit START = 7…0 on, LENGTH = 15…8 bits; what lies beyond the operand is 0.</summary>
    private readonly struct ExtractField : IBitManipulation
    {
        public static bool SetsFlags => true;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth
        {
            int start = (byte)other, length = (byte)(other >> 8);
            var shifted = start < TWidth.Bits ? operand >> start : 0;
            return length < TWidth.Bits ? shifted & ((1UL << length) - 1) : shifted;
        }

        // SF is undefined, and 0 like OF and CF, which the SDM's pseudo-code clears.
        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth => result == 0 ? LazyFlags.Zero : 0;
    }

    private readonly struct IsolateLowest : IBitManipulation
    {
        public static bool SetsFlags => true;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth => operand & (0 - operand);

        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth
            => ZeroAndSign<TWidth>(result) | (operand != 0 ? LazyFlags.Carry : 0);
    }

    private readonly struct MaskToLowest : IBitManipulation
    {
        public static bool SetsFlags => true;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth => operand ^ (operand - 1);

        // The result is never 0.
        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth
            => ZeroAndSign<TWidth>(result) | (operand == 0 ? LazyFlags.Carry : 0);
    }

    private readonly struct ResetLowest : IBitManipulation
    {
        public static bool SetsFlags => true;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth => operand & (operand - 1);

        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth
            => ZeroAndSign<TWidth>(result) | (operand == 0 ? LazyFlags.Carry : 0);
    }

    private readonly struct ZeroHigh : IBitManipulation
    {
        public static bool SetsFlags => true;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth
            => (byte)other < TWidth.Bits ? operand & ((1UL << (byte)other) - 1) : operand;

        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth
            => ZeroAndSign<TWidth>(result) | ((byte)other >= TWidth.Bits ? LazyFlags.Carry : 0);
    }

    private readonly struct Deposit : IBitManipulation
    {
        public static bool SetsFlags => false;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth
        {
            var result = 0UL;
            for (var mask = operand; mask != 0; mask &= mask - 1, other >>= 1)
                if ((other & 1) != 0) result |= mask & (0 - mask);
            return result;
        }

        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth => 0;
    }

    private readonly struct Extract : IBitManipulation
    {
        public static bool SetsFlags => false;

        public static ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth
        {
            var result = 0UL;
            var place = 0;
            for (var mask = operand; mask != 0; mask &= mask - 1)
                result |= ((other >> BitOperations.TrailingZeroCount(mask)) & 1) << place++;
            return result;
        }

        public static uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth => 0;
    }
}
