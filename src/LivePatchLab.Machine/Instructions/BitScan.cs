using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One of the instructions that turn an operand into a number of bits.</summary>
internal interface IBitCount
{
    /// <summary>True where a zero operand leaves the destination alone (BSF, BSR).</summary>
    static abstract bool KeepsDestinationOfZero { get; }

    static abstract ulong Count<TWidth>(ulong value) where TWidth : struct, IWidth;

    /// <summary>All six flags: what is undefined is 0.</summary>
    static abstract uint Flags<TWidth>(ulong value, ulong count) where TWidth : struct, IWidth;
}

/// <summary>BSF, BSR, TZCNT, LZCNT and POPCNT.</summary>
internal sealed unsafe class BitScan : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Tzcnt, Mnemonic.Lzcnt, Mnemonic.Popcnt];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is null || builder.Operand(1) is not { } source) return false;
        var operation = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Bsf => typeof(ScanForward),
            Mnemonic.Bsr => typeof(ScanReverse),
            Mnemonic.Tzcnt => typeof(CountTrailingZeros),
            Mnemonic.Lzcnt => typeof(CountLeadingZeros),
            _ => typeof(CountOnes),
        };
        builder.Use(typeof(BitScan), nameof(Count), operation, builder.Width(0), source, builder.FlagUse);
        return true;
    }

    public override RflagsBits Overwrites(in Instruction instruction) => FlagLiveness.Status;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Count<TOperation, TWidth, TSource, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IBitCount
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var value = TWidth.Read(TSource.Readable(cpu, op, memory, address));
        var count = TOperation.Count<TWidth>(value);
        if (!TOperation.KeepsDestinationOfZero || value != 0) TWidth.WriteRegister((byte*)cpu + op->Destination, count);
        if (TFlags.Wanted) LazyFlags.SetBits(cpu, TOperation.Flags<TWidth>(value, count));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    private readonly struct ScanForward : IBitCount
    {
        public static bool KeepsDestinationOfZero => true;

        public static ulong Count<TWidth>(ulong value) where TWidth : struct, IWidth => (ulong)BitOperations.TrailingZeroCount(value);

        public static uint Flags<TWidth>(ulong value, ulong count) where TWidth : struct, IWidth => value == 0 ? LazyFlags.Zero : 0;
    }

    private readonly struct ScanReverse : IBitCount
    {
        public static bool KeepsDestinationOfZero => true;

        public static ulong Count<TWidth>(ulong value) where TWidth : struct, IWidth => (ulong)(63 - BitOperations.LeadingZeroCount(value));

        public static uint Flags<TWidth>(ulong value, ulong count) where TWidth : struct, IWidth => value == 0 ? LazyFlags.Zero : 0;
    }

    private readonly struct CountTrailingZeros : IBitCount
    {
        public static bool KeepsDestinationOfZero => false;

        public static ulong Count<TWidth>(ulong value) where TWidth : struct, IWidth
            => value == 0 ? (ulong)TWidth.Bits : (ulong)BitOperations.TrailingZeroCount(value);

        public static uint Flags<TWidth>(ulong value, ulong count) where TWidth : struct, IWidth
            => (value == 0 ? LazyFlags.Carry : 0) | (count == 0 ? LazyFlags.Zero : 0);
    }

    private readonly struct CountLeadingZeros : IBitCount
    {
        public static bool KeepsDestinationOfZero => false;

        public static ulong Count<TWidth>(ulong value) where TWidth : struct, IWidth => (ulong)(BitOperations.LeadingZeroCount(value) - (64 - TWidth.Bits));

        public static uint Flags<TWidth>(ulong value, ulong count) where TWidth : struct, IWidth
            => (value == 0 ? LazyFlags.Carry : 0) | (count == 0 ? LazyFlags.Zero : 0);
    }

    private readonly struct CountOnes : IBitCount
    {
        public static bool KeepsDestinationOfZero => false;

        public static ulong Count<TWidth>(ulong value) where TWidth : struct, IWidth => (ulong)BitOperations.PopCount(value);

        public static uint Flags<TWidth>(ulong value, ulong count) where TWidth : struct, IWidth => value == 0 ? LazyFlags.Zero : 0;
    }
}
