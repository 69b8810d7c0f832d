using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

internal unsafe interface IUnaryOperation
{
    static abstract ulong Apply(ulong value);

    static abstract void SetFlags<TWidth>(CpuState* cpu, ulong value, ulong result) where TWidth : struct, IWidth;
}

/// <summary>INC, DEC, NEG and NOT. INC and DEC leave CF alone.</summary>
internal sealed unsafe class UnaryArithmetic : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Neg, Mnemonic.Not];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target) return false;
        var operation = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Inc => typeof(Increment),
            Mnemonic.Dec => typeof(Decrement),
            Mnemonic.Neg => typeof(Negate),
            _ => typeof(Complement),
        };
        builder.Use(typeof(UnaryArithmetic), nameof(Apply), operation, builder.Width(0), target, builder.FlagUse);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TOperation, TWidth, TTarget, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperation : struct, IUnaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        if (!OperandAccess.OpensForWrite<TTarget, TWidth>(cpu, op))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        Calculate<TOperation, TWidth, TTarget, TFlags>(cpu, OperandAccess.Writable<TTarget>(cpu, op, memory));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Calculate<TOperation, TWidth, TTarget, TFlags>(CpuState* cpu, byte* target)
        where TOperation : struct, IUnaryOperation
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        var value = TWidth.Read(target);
        var result = TOperation.Apply(value);
        TTarget.Write<TWidth>(target, result);
        if (TFlags.Wanted) TOperation.SetFlags<TWidth>(cpu, value, result);
    }

    private readonly struct Increment : IUnaryOperation
    {
        public static ulong Apply(ulong value) => value + 1;

        public static void SetFlags<TWidth>(CpuState* cpu, ulong value, ulong result) where TWidth : struct, IWidth
            => LazyFlags.Set(cpu, LazyFlags.Increment + TWidth.Log2Bytes, result, LazyFlags.IsCarry(cpu) ? 1UL : 0);
    }

    private readonly struct Decrement : IUnaryOperation
    {
        public static ulong Apply(ulong value) => value - 1;

        public static void SetFlags<TWidth>(CpuState* cpu, ulong value, ulong result) where TWidth : struct, IWidth
            => LazyFlags.Set(cpu, LazyFlags.Decrement + TWidth.Log2Bytes, result, LazyFlags.IsCarry(cpu) ? 1UL : 0);
    }

    private readonly struct Negate : IUnaryOperation
    {
        public static ulong Apply(ulong value) => 0 - value;

        public static void SetFlags<TWidth>(CpuState* cpu, ulong value, ulong result) where TWidth : struct, IWidth
            => LazyFlags.Set(cpu, LazyFlags.Subtract + TWidth.Log2Bytes, 0, value);
    }

    private readonly struct Complement : IUnaryOperation
    {
        public static ulong Apply(ulong value) => ~value;

        public static void SetFlags<TWidth>(CpuState* cpu, ulong value, ulong result) where TWidth : struct, IWidth
        {
            // NOT affects no flag.
        }
    }
}
