using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One of the BMI1 and BMI2 instructions that make a register of one or two operands.</summary>
internal interface IBitManipulation
{
    /// <summary>False for PDEP and PEXT, which touch no flag.</summary>
    static abstract bool SetsFlags { get; }

    /// <param name="operand">The operand that may be memory.</param>
    /// <param name="other">The one that is always a register; nothing for BLSI, BLSMSK and BLSR.</param>
    static abstract ulong Apply<TWidth>(ulong operand, ulong other) where TWidth : struct, IWidth;

    /// <summary>All six: what is undefined is 0.</summary>
    static abstract uint Flags<TWidth>(ulong operand, ulong other, ulong result) where TWidth : struct, IWidth;
}

/// <summary>ANDN, BEXTR, BLSI, BLSMSK and BLSR of BMI1; BZHI, PDEP and PEXT of BMI2.</summary>
internal sealed unsafe partial class BitManipulation : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Andn, Mnemonic.Bextr, Mnemonic.Blsi, Mnemonic.Blsmsk, Mnemonic.Blsr, Mnemonic.Bzhi, Mnemonic.Pdep, Mnemonic.Pext,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        ref readonly var instruction = ref builder.Instruction;

        // AMD's BEXTR with an immediate is another instruction (TBM).
        if (!builder.IsRegister(0) || builder.IsImmediate(instruction.OpCount - 1)) return false;
        builder.Operand(0);
        var isLast = instruction.Mnemonic is Mnemonic.Andn or Mnemonic.Pdep or Mnemonic.Pext;
        if (builder.Operand(isLast ? 2 : 1) is not { } operand) return false;
        if (instruction.OpCount == 3) builder.Op->SecondSource = OpBuilder.OffsetOf(isLast ? instruction.Op1Register : instruction.Op2Register);
        builder.Use(typeof(BitManipulation), nameof(Apply), Operation(instruction.Mnemonic), builder.Width(0), operand, builder.FlagUse);
        return true;
    }

    public override RflagsBits Overwrites(in Instruction instruction)
        => instruction.Mnemonic is Mnemonic.Pdep or Mnemonic.Pext ? RflagsBits.None : FlagLiveness.Status;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TOperation, TWidth, TOperand, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IBitManipulation
        where TWidth : struct, IWidth
        where TOperand : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        if (!OperandAccess.OpensForRead<TOperand, TWidth>(cpu, op))
        {
            TOperand.Refuse(cpu, op, memory, budget);
            return;
        }

        var operand = TWidth.Read(OperandAccess.Readable<TOperand>(cpu, op, memory));
        var other = TWidth.Read((byte*)cpu + op->SecondSource);
        var result = TWidth.ZeroExtend(TOperation.Apply<TWidth>(operand, other));
        TWidth.WriteRegister((byte*)cpu + op->Destination, result);
        if (TOperation.SetsFlags && TFlags.Wanted) LazyFlags.SetBits(cpu, TOperation.Flags<TWidth>(operand, other, result));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    private static Type Operation(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Andn => typeof(AndNot),
        Mnemonic.Bextr => typeof(ExtractField),
        Mnemonic.Blsi => typeof(IsolateLowest),
        Mnemonic.Blsmsk => typeof(MaskToLowest),
        Mnemonic.Blsr => typeof(ResetLowest),
        Mnemonic.Bzhi => typeof(ZeroHigh),
        Mnemonic.Pdep => typeof(Deposit),
        _ => typeof(Extract),
    };

    private static uint ZeroAndSign<TWidth>(ulong result) where TWidth : struct, IWidth
        => (result == 0 ? LazyFlags.Zero : 0) | ((result >> (TWidth.Bits - 1)) != 0 ? LazyFlags.Sign : 0);
}
