using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

internal interface IBitOperation
{
    static abstract bool Writes { get; }

    static abstract ulong Apply(ulong value, ulong bit);
}

/// <summary>BT, BTS, BTR and BTC. CF is the bit; OF, SF, AF and PF are undefined and ours stay, as ZF must, and as current processors of both makes do it.</summary>
internal sealed unsafe class BitTest : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target || builder.Operand(1) is not { } index) return false;
        var operation = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Bt => typeof(KeepBit),
            Mnemonic.Bts => typeof(SetBit),
            Mnemonic.Btr => typeof(ResetBit),
            _ => typeof(ComplementBit),
        };

        // A register indexes a bit string of any length in memory; everything else stays within the operand.
        var strides = builder.IsMemory(0) && !builder.IsImmediate(1) ? typeof(FlagsWanted) : typeof(FlagsUnseen);
        builder.Use(typeof(BitTest), nameof(Apply), operation, builder.Width(0), target, index, strides);
        return true;
    }

    public override ZeroedFlags Zeroed(in Instruction instruction) => default;

    public override RflagsBits Writes(in Instruction instruction) => RflagsBits.CF;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TOperation, TWidth, TTarget, TIndex, TStrides>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IBitOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TIndex : struct, IOperand
        where TStrides : struct, IFlagUse
    {
        var index = TWidth.Read(TIndex.Readable(cpu, op, memory, 0));
        var address = TTarget.Locate(cpu, op);
        if (TStrides.Wanted) address += (ulong)((TWidth.SignExtend(index) >> (3 + TWidth.Log2Bytes)) << TWidth.Log2Bytes);
        if (TOperation.Writes ? !TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes) : !TTarget.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = TOperation.Writes ? TTarget.Writable(cpu, op, memory, address) : TTarget.Readable(cpu, op, memory, address);
        var value = TWidth.Read(target);
        var bit = 1UL << ((int)index & (TWidth.Bits - 1));
        if (TOperation.Writes) TTarget.Write<TWidth>(target, TOperation.Apply(value, bit));
        LazyFlags.Replace(cpu, LazyFlags.Carry, (value & bit) != 0 ? LazyFlags.Carry : 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    private readonly struct KeepBit : IBitOperation
    {
        public static bool Writes => false;

        public static ulong Apply(ulong value, ulong bit) => value;
    }

    private readonly struct SetBit : IBitOperation
    {
        public static bool Writes => true;

        public static ulong Apply(ulong value, ulong bit) => value | bit;
    }

    private readonly struct ResetBit : IBitOperation
    {
        public static bool Writes => true;

        public static ulong Apply(ulong value, ulong bit) => value & ~bit;
    }

    private readonly struct ComplementBit : IBitOperation
    {
        public static bool Writes => true;

        public static ulong Apply(ulong value, ulong bit) => value ^ bit;
    }
}
