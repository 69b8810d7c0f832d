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
        var sourceAddress = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, sourceAddress, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var top = cpu->Registers[Gpr.Rsp] - (ulong)TWidth.Bytes;
        if (!TStack.OpensForWrite(cpu, top, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        TWidth.Write(TStack.Writable(cpu, memory, top), TWidth.Read(TSource.Readable(cpu, op, memory, sourceAddress)));
        cpu->Registers[Gpr.Rsp] = top;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
