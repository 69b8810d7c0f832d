using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>PUSH of registers, immediates and memory.</summary>
internal sealed unsafe class Push : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Push];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } source) return false;
        builder.Use(typeof(Push), nameof(Store), OpBuilder.WidthOf(-builder.Instruction.StackPointerIncrement), source, builder.Stack);
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
