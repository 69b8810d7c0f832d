using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>SETcc.</summary>
internal sealed unsafe class SetOnCondition : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Seto, Mnemonic.Setno, Mnemonic.Setb, Mnemonic.Setae, Mnemonic.Sete, Mnemonic.Setne, Mnemonic.Setbe, Mnemonic.Seta,
        Mnemonic.Sets, Mnemonic.Setns, Mnemonic.Setp, Mnemonic.Setnp, Mnemonic.Setl, Mnemonic.Setge, Mnemonic.Setle, Mnemonic.Setg,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target) return false;
        builder.Use(typeof(SetOnCondition), nameof(Set), Conditions.Of(builder.Instruction), target);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Set<TCondition, TTarget>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TCondition : struct, ICondition
        where TTarget : struct, IOperand
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, 1))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!Conditions.IsReady<TCondition>(cpu))
        {
            Conditions.Settle(cpu, op, memory, budget);
            return;
        }

        *TTarget.Writable(cpu, op, memory, address) = Conditions.Holds<TCondition>(cpu) ? (byte)1 : (byte)0;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
