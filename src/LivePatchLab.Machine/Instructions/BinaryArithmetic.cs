using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>ADD, SUB, ADC, SBB, CMP, AND, OR, XOR and TEST, alone or with the conditional branch behind them.</summary>
internal sealed unsafe partial class BinaryArithmetic : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Add, Mnemonic.Sub, Mnemonic.Adc, Mnemonic.Sbb, Mnemonic.Cmp, Mnemonic.And, Mnemonic.Or, Mnemonic.Xor, Mnemonic.Test,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target || builder.Operand(1) is not { } source) return false;
        builder.Use(typeof(BinaryArithmetic), nameof(Apply), Operation(builder.Instruction.Mnemonic), builder.Width(0), target, source, builder.FlagUse);
        return true;
    }

    public override bool TryBuildWithBranch(OpBuilder builder, Type condition)
    {
        var mnemonic = builder.Instruction.Mnemonic;
        if (mnemonic is Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.Add) return false;
        if (builder.Operand(0) is not { } target || builder.Operand(1) is not { } source) return false;
        builder.Use(typeof(BinaryArithmetic), nameof(ApplyAndBranch), Operation(mnemonic), builder.Width(0), target, source, condition);
        return true;
    }

    // AF after logic is undefined; ours is 0, so all six flags are overwritten.
    public override RflagsBits Overwrites(in Instruction instruction) => FlagLiveness.Status;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TOperation, TWidth, TTarget, TSource, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IBinaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        if (!Opens<TOperation, TWidth, TTarget, TSource>(cpu, op))
        {
            Leave.Refused<TTarget, TSource>(cpu, op, memory, budget);
            return;
        }

        Calculate<TOperation, TWidth, TTarget, TSource, TFlags>(cpu, op, memory);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ApplyAndBranch<TOperation, TWidth, TTarget, TSource, TCondition>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IBinaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
        where TCondition : struct, ICondition
    {
        if (!Opens<TOperation, TWidth, TTarget, TSource>(cpu, op))
        {
            Leave.Refused<TTarget, TSource>(cpu, op, memory, budget);
            return;
        }

        var next = CalculateAndDecide<TOperation, TWidth, TTarget, TSource, TCondition>(cpu, op, memory);
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Opens<TOperation, TWidth, TTarget, TSource>(CpuState* cpu, Op* op)
        where TOperation : struct, IBinaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
    {
        var target = TTarget.Locate(cpu, op);
        return (TOperation.Writes ? TTarget.OpensForWrite(cpu, op, target, TWidth.Bytes) : TTarget.OpensForRead(cpu, op, target, TWidth.Bytes))
            && TSource.OpensForRead(cpu, op, TSource.Locate(cpu, op), TWidth.Bytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Calculate<TOperation, TWidth, TTarget, TSource, TFlags>(CpuState* cpu, Op* op, byte* memory)
        where TOperation : struct, IBinaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        var target = Target<TOperation, TTarget>(cpu, op, memory);
        var a = TWidth.Read(target);
        var b = TWidth.Read(TSource.Readable(cpu, op, memory, TSource.Locate(cpu, op)));
        var result = TOperation.Apply(cpu, a, b);
        if (TOperation.Writes) TTarget.Write<TWidth>(target, result);
        if (TFlags.Wanted) TOperation.SetFlags<TWidth>(cpu, a, b, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* CalculateAndDecide<TOperation, TWidth, TTarget, TSource, TCondition>(CpuState* cpu, Op* op, byte* memory)
        where TOperation : struct, IBinaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
        where TCondition : struct, ICondition
    {
        var target = Target<TOperation, TTarget>(cpu, op, memory);
        var a = TWidth.Read(target);
        var b = TWidth.Read(TSource.Readable(cpu, op, memory, TSource.Locate(cpu, op)));
        var result = TOperation.Apply(cpu, a, b);
        if (TOperation.Writes) TTarget.Write<TWidth>(target, result);
        TOperation.SetFlags<TWidth>(cpu, a, b, result);

        // A signed or unsigned comparison gives the same of operands that have been moved to the top of 64 bits.
        var holds = TOperation.IsLogic
            ? TCondition.OfComparison(result << (64 - TWidth.Bits), 0)
            : TCondition.OfComparison(a << (64 - TWidth.Bits), b << (64 - TWidth.Bits));
        return Edges.Of(op)->Choose(holds);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Target<TOperation, TTarget>(CpuState* cpu, Op* op, byte* memory)
        where TOperation : struct, IBinaryOperation
        where TTarget : struct, IOperand
    {
        var address = TTarget.Locate(cpu, op);
        return TOperation.Writes ? TTarget.Writable(cpu, op, memory, address) : TTarget.Readable(cpu, op, memory, address);
    }

    private static Type Operation(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Add => typeof(Add),
        Mnemonic.Sub => typeof(Subtract),
        Mnemonic.Adc => typeof(AddWithCarry),
        Mnemonic.Sbb => typeof(SubtractWithBorrow),
        Mnemonic.Cmp => typeof(Compare),
        Mnemonic.And => typeof(And),
        Mnemonic.Or => typeof(Or),
        Mnemonic.Xor => typeof(ExclusiveOr),
        _ => typeof(Test),
    };
}
