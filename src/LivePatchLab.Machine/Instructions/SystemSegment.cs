using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// LLDT, LTR, SLDT and STR: the selector is kept to be read back, and stands for nothing, as there are no descriptor tables to look it up
/// in. The loads serialise (SDM vol. 3, 9.3). The stores are for everyone: there is no UMIP here.
/// </summary>
internal sealed unsafe class SystemSegment : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Sldt, Mnemonic.Str];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } operand) return false;
        var segment = builder.Instruction.Mnemonic is Mnemonic.Lldt or Mnemonic.Sldt ? typeof(LocalTable) : typeof(Task);
        if (builder.Instruction.Mnemonic is Mnemonic.Lldt or Mnemonic.Ltr)
        {
            builder.Use(typeof(SystemSegment), nameof(Load), operand, segment);
            return true;
        }

        // To memory it is always 16 bits (SDM vol. 2, STR).
        builder.Use(typeof(SystemSegment), nameof(Store), builder.IsMemory(0) ? typeof(Bits16) : builder.Width(0), operand, segment);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load<TOperand, TSegment>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperand : struct, IOperand
        where TSegment : struct, ISystemSegment
    {
        if (cpu->UserMode != 0)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        if (!OperandAccess.OpensForRead<TOperand, Bits16>(cpu, op))
        {
            TOperand.Refuse(cpu, op, memory, budget);
            return;
        }

        var selector = *(ushort*)OperandAccess.Readable<TOperand>(cpu, op, memory);
        if (selector < 4 && !TSegment.MayBeNull)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        *TSegment.Of(cpu) = selector;
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store<TWidth, TOperand, TSegment>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TOperand : struct, IOperand
        where TSegment : struct, ISystemSegment
    {
        if (!OperandAccess.OpensForWrite<TOperand, TWidth>(cpu, op))
        {
            TOperand.Refuse(cpu, op, memory, budget);
            return;
        }

        TOperand.Write<TWidth>(OperandAccess.Writable<TOperand>(cpu, op, memory), *TSegment.Of(cpu));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    internal interface ISystemSegment
    {
        /// <summary>A null LDT is none at all; a null task register is #GP(0).</summary>
        static abstract bool MayBeNull { get; }

        static abstract ushort* Of(CpuState* cpu);
    }

    private readonly struct LocalTable : ISystemSegment
    {
        public static bool MayBeNull => true;

        public static ushort* Of(CpuState* cpu) => &cpu->LocalTable;
    }

    private readonly struct Task : ISystemSegment
    {
        public static bool MayBeNull => false;

        public static ushort* Of(CpuState* cpu) => &cpu->TaskRegister;
    }
}
