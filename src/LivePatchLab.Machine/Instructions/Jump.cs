using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>JMP, direct and indirect; <see cref="FarJump"/> has those through far pointers.</summary>
internal sealed unsafe class Jump : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Jmp];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.IsJmpShortOrNear)
        {
            builder.BranchTo(builder.Instruction.NearBranchTarget);
            builder.Use(typeof(Jump), nameof(Direct));
            return true;
        }

        if (builder.Instruction.IsJmpFarIndirect) return FarJump.TryBuild(builder);
        if (!builder.Instruction.IsJmpNearIndirect || builder.Operand(0) is not { } target || builder.Bytes(0) != 8) return false;
        builder.Use(typeof(Jump), nameof(Indirect), target);
        return true;
    }

    // A non-canonical target is #GP(0).
    public override bool MayLeave(in Instruction instruction) => true;

    /// <summary>The operation that leads from a block which just ends to what comes behind it. It is no instruction and costs nothing.</summary>
    public static void BuildGoOn(OpBuilder builder, Op* op, in Instruction last)
    {
        builder.Begin(last, op, remaining: 0, careful: false, RflagsBits.None);
        op->Rip = (int)last.NextIP;
        builder.BranchTo(last.NextIP);
        builder.Use(typeof(Jump), nameof(Direct));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Direct(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var next = Edges.Of(op)->Taken;
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Indirect<TTarget>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TTarget : struct, IOperand
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForRead(cpu, op, address, 8))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = *(ulong*)TTarget.Readable(cpu, op, memory, address);
        var slot = JumpCache.Slot(cpu->JumpCache, target);
        if (slot->Rip != target)
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
