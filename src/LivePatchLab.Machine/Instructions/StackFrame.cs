using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>LEAVE, and ENTER without nested frames: with a nesting level it is not implemented, and no compiler emits it.</summary>
internal sealed unsafe class StackFrame : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Leave, Mnemonic.Enter];

    public override bool TryBuild(OpBuilder builder)
    {
        if (Math.Abs(builder.Instruction.StackPointerIncrement) is 2 || builder.Instruction.Code is Code.Leavew or Code.Enterw_imm16_imm8) return false;
        if (builder.Instruction.Mnemonic == Mnemonic.Leave)
        {
            builder.Use(typeof(StackFrame), nameof(Close), builder.Stack);
            return true;
        }

        if ((builder.Instruction.Immediate8_2nd & 31) != 0) return false;
        builder.Op->Immediate = builder.Instruction.Immediate16;
        builder.Use(typeof(StackFrame), nameof(Open), builder.Stack);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Close<TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TStack : struct, IStack
    {
        var frame = cpu->Registers[Gpr.Rbp];
        if (!TStack.OpensForRead(cpu, frame, 8))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        cpu->Registers[Gpr.Rsp] = frame + 8;
        cpu->Registers[Gpr.Rbp] = *(ulong*)TStack.Readable(cpu, memory, frame);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Open<TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TStack : struct, IStack
    {
        var frame = cpu->Registers[Gpr.Rsp] - 8;
        if (!TStack.OpensForWrite(cpu, frame, 8))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        *(ulong*)TStack.Writable(cpu, memory, frame) = cpu->Registers[Gpr.Rbp];
        cpu->Registers[Gpr.Rbp] = frame;
        cpu->Registers[Gpr.Rsp] = frame - (ulong)op->Immediate;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
