using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CALL, direct and indirect; far calls are not implemented.</summary>
internal sealed unsafe class Call : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Call];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.IsCallNear)
        {
            builder.BranchTo(builder.Instruction.NearBranchTarget);
            builder.Use(typeof(Call), nameof(Direct), builder.Stack);
            return true;
        }

        if (!builder.Instruction.IsCallNearIndirect || builder.Operand(0) is not { } target || builder.Bytes(0) != 8) return false;
        builder.Use(typeof(Call), nameof(Indirect), target, builder.Stack);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Direct<TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TStack : struct, IStack
    {
        if (!Push.TryStore<Bits64, TStack>(cpu, memory, op->NextAddress))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        var next = Edges.Of(op)->Taken;
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Indirect<TTarget, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TTarget : struct, IOperand
        where TStack : struct, IStack
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForRead(cpu, op, address, 8))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = *(ulong*)TTarget.Readable(cpu, op, memory, address);
        var slot = JumpCache.Slot(cpu->JumpCache, target);
        var isKnown = slot->Rip == target;
        if (!isKnown && !CarefulAccess.IsCanonical(target))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        if (!Push.TryStore<Bits64, TStack>(cpu, memory, op->NextAddress))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!isKnown)
        {
            Leave.ToTarget(cpu, op, target, budget);
            return;
        }

        var next = slot->Block;
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }
}
