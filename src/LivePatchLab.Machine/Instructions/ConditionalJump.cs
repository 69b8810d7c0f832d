using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Jcc, where it is not fused with the instruction before it.</summary>
internal sealed unsafe class ConditionalJump : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Jo, Mnemonic.Jno, Mnemonic.Jb, Mnemonic.Jae, Mnemonic.Je, Mnemonic.Jne, Mnemonic.Jbe, Mnemonic.Ja,
        Mnemonic.Js, Mnemonic.Jns, Mnemonic.Jp, Mnemonic.Jnp, Mnemonic.Jl, Mnemonic.Jge, Mnemonic.Jle, Mnemonic.Jg,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.BranchTo(builder.Instruction.NearBranchTarget, builder.Instruction.NextIP);
        builder.Use(typeof(ConditionalJump), nameof(Branch), Conditions.Of(builder.Instruction));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Branch<TCondition>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TCondition : struct, ICondition
    {
        if (!Conditions.IsReady<TCondition>(cpu))
        {
            Conditions.Settle(cpu, op, memory, budget);
            return;
        }

        var next = Edges.Of(op)->Choose(Conditions.Holds<TCondition>(cpu));
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }
}
