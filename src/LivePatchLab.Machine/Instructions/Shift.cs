using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Where the count of a shift is: the immediate, or CL.</summary>
internal unsafe interface IShiftCount
{
    static abstract int Of(CpuState* cpu, Op* op);
}

internal readonly unsafe struct ImmediateCount : IShiftCount
{
    public static int Of(CpuState* cpu, Op* op) => (int)op->Immediate;
}

internal readonly unsafe struct ClCount : IShiftCount
{
    public static int Of(CpuState* cpu, Op* op) => (int)cpu->Registers[Gpr.Rcx];
}

/// <summary>SHL, SAL, SHR, SAR, ROL and ROR. A count that is 0 after masking changes no flag (SDM vol. 2, SAL/SAR/SHL/SHR).</summary>
internal sealed unsafe class Shift : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
        [Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Ror];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target) return false;
        var operation = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Shl or Mnemonic.Sal => typeof(ShiftLeft),
            Mnemonic.Shr => typeof(ShiftRight),
            Mnemonic.Sar => typeof(ShiftRightArithmetic),
            Mnemonic.Rol => typeof(RotateLeft),
            _ => typeof(RotateRight),
        };
        builder.Use(typeof(Shift), nameof(Apply), operation, builder.Width(0), target, CountOf(builder, 1), builder.FlagUse);
        return true;
    }

    public override RflagsBits Overwrites(in Instruction instruction)
    {
        if (!OverwritesFlags(instruction, 1)) return RflagsBits.None;
        return Rotates(instruction) ? RflagsBits.CF | RflagsBits.OF : FlagLiveness.Status;
    }

    public override ZeroedFlags Zeroed(in Instruction instruction) => ZeroedBy(instruction, 1, Rotates(instruction) ? RflagsBits.None : RflagsBits.AF);

    /// <summary>The type of the count in the last operand, with the operation's field for it filled in.</summary>
    public static Type CountOf(OpBuilder builder, int operand)
    {
        if (!builder.IsImmediate(operand)) return typeof(ClCount);
        builder.Op->Immediate = (long)builder.Instruction.GetImmediate(operand);
        return typeof(ImmediateCount);
    }

    /// <summary>Only a count that is known, and not 0, is sure to set flags.</summary>
    public static bool OverwritesFlags(in Instruction instruction, int operand)
        => HasImmediateCount(instruction, operand) && (instruction.GetImmediate(operand) & CountMask(instruction)) != 0;

    /// <summary>
    /// What is 0 behind a shift: OF where the count is not 1, for which alone it is defined, and others where it is not 0 (SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR,
    /// SHLD, SHRD).
    /// </summary>
    /// <param name="instruction">The shift.</param>
    /// <param name="operand">Which operand is the count.</param>
    /// <param name="others">What it leaves undefined besides OF.</param>
    public static ZeroedFlags ZeroedBy(in Instruction instruction, int operand, RflagsBits others)
    {
        var mask = CountMask(instruction);
        if (!HasImmediateCount(instruction, operand)) return new(RflagsBits.None, others, RflagsBits.OF, (byte)mask);
        return (instruction.GetImmediate(operand) & mask) switch
        {
            0 => default,
            1 => new(others),
            _ => new(others | RflagsBits.OF),
        };
    }

    /// <summary>The bits of a count that count.</summary>
    public static ulong CountMask(in Instruction instruction)
        => (instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize()) == 8 ? 63UL : 31UL;

    private static bool HasImmediateCount(in Instruction instruction, int operand)
        => instruction.GetOpKind(operand) is OpKind.Immediate8 or OpKind.Immediate8to16 or OpKind.Immediate8to32 or OpKind.Immediate8to64;

    private static bool Rotates(in Instruction instruction) => instruction.Mnemonic is Mnemonic.Rol or Mnemonic.Ror;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TOperation, TWidth, TTarget, TCount, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IShiftOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TCount : struct, IShiftCount
        where TFlags : struct, IFlagUse
    {
        if (!OperandAccess.OpensForWrite<TTarget, TWidth>(cpu, op))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        Calculate<TOperation, TWidth, TTarget, TCount, TFlags>(cpu, op, OperandAccess.Writable<TTarget>(cpu, op, memory));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Calculate<TOperation, TWidth, TTarget, TCount, TFlags>(CpuState* cpu, Op* op, byte* target)
        where TOperation : struct, IShiftOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TCount : struct, IShiftCount
        where TFlags : struct, IFlagUse
    {
        var count = TCount.Of(cpu, op) & (TWidth.Bits == 64 ? 63 : 31);
        var value = TWidth.Read(target);
        var result = TOperation.Apply<TWidth>(value, count);
        TTarget.Write<TWidth>(target, result);
        if (!TFlags.Wanted || count == 0) return;
        var carryAndOverflow = TOperation.CarryAndOverflow<TWidth>(value, count, result);
        if (TOperation.IsRotate) LazyFlags.Replace(cpu, LazyFlags.Carry | LazyFlags.Overflow, carryAndOverflow);
        else LazyFlags.SetResult<TWidth>(cpu, result, carryAndOverflow);
    }
}
