using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>PUSH of registers, immediates and memory, and of FS and GS.</summary>
internal sealed unsafe class Push : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Push];

    public override bool TryBuild(OpBuilder builder)
    {
        var width = OpBuilder.WidthOf(-builder.Instruction.StackPointerIncrement);
        if (builder.Instruction.Op0Register is Register.FS or Register.GS)
        {
            builder.Op->Immediate = builder.Instruction.Op0Register - Register.ES;
            builder.Use(typeof(Push), nameof(StoreSelector), width, builder.Stack);
            return true;
        }

        if (builder.Operand(0) is not { } source) return false;
        builder.Use(typeof(Push), nameof(Store), width, source, builder.Stack);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store<TWidth, TSource, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
        where TStack : struct, IStack
    {
        if (!TryStore<TWidth, TSource, TStack>(cpu, op, memory))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>The selector, zero-extended (SDM vol. 2, PUSH).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreSelector<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        if (!TryStore<TWidth, TStack>(cpu, memory, SegmentSelector.Value(cpu, (int)op->Immediate)))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>Pushes a value; false, with nothing changed, when the stack does not open. CALL pushes its return address by this.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryStore<TWidth, TStack>(CpuState* cpu, byte* memory, ulong value)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp] - (ulong)TWidth.Bytes;
        if (!TStack.OpensForWrite(cpu, top, TWidth.Bytes)) return false;
        TWidth.Write(TStack.Writable(cpu, memory, top), value);
        cpu->Registers[Gpr.Rsp] = top;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryStore<TWidth, TSource, TStack>(CpuState* cpu, Op* op, byte* memory)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
        where TStack : struct, IStack
        => OperandAccess.OpensForRead<TSource, TWidth>(cpu, op)
            && TryStore<TWidth, TStack>(cpu, memory, TWidth.Read(OperandAccess.Readable<TSource>(cpu, op, memory)));
}
