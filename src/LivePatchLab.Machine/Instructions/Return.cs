using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>RET and RET imm16, near; <see cref="FarReturn"/> has the others.</summary>
internal sealed unsafe class Return : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Ret];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.Code is not (Code.Retnq or Code.Retnq_imm16)) return false;
        builder.Op->Immediate = 8 + (builder.Instruction.Code == Code.Retnq_imm16 ? builder.Instruction.Immediate16 : 0);
        builder.Use(typeof(Return), nameof(Near), builder.Stack);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Near<TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp];
        if (!TStack.OpensForRead(cpu, top, 8))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = *(ulong*)TStack.Readable(cpu, memory, top);
        var slot = JumpCache.Slot(cpu->JumpCache, target);
        if (slot->Rip != target)
        {
            if (CarefulAccess.IsCanonical(target)) cpu->Registers[Gpr.Rsp] = top + (ulong)op->Immediate;
            Leave.ToTarget(cpu, op, target, budget);
            return;
        }

        cpu->Registers[Gpr.Rsp] = top + (ulong)op->Immediate;
        var next = slot->Block;
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }
}
