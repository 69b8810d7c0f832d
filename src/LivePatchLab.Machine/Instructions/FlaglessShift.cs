using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>SHLX, SHRX, SARX and RORX of BMI2: shifts that touch no flag.</summary>
internal sealed unsafe class FlaglessShift : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Shlx, Mnemonic.Shrx, Mnemonic.Sarx, Mnemonic.Rorx];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is null || builder.Operand(1) is not { } source) return false;
        if (builder.Instruction.Mnemonic == Mnemonic.Rorx) builder.Op->Immediate = builder.Instruction.Immediate8;
        else builder.Op->SecondSource = OpBuilder.OffsetOf(builder.Instruction.Op2Register);
        var operation = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Shlx => typeof(ShiftLeft),
            Mnemonic.Shrx => typeof(ShiftRight),
            Mnemonic.Sarx => typeof(ShiftRightArithmetic),
            _ => typeof(RotateRight),
        };
        var count = builder.Instruction.Mnemonic == Mnemonic.Rorx ? typeof(ImmediateCount) : typeof(RegisterCount);
        builder.Use(typeof(FlaglessShift), nameof(Apply), operation, builder.Width(0), source, count);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TOperation, TWidth, TSource, TCount>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IShiftOperation
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
        where TCount : struct, IShiftCount
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var value = TWidth.Read(TSource.Readable(cpu, op, memory, address));
        TWidth.WriteRegister((byte*)cpu + op->Destination, TOperation.Apply<TWidth>(value, TCount.Of(cpu, op) & (TWidth.Bits - 1)));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    private readonly struct RegisterCount : IShiftCount
    {
        public static int Of(CpuState* cpu, Op* op) => (int)*(ulong*)((byte*)cpu + op->SecondSource);
    }
}
