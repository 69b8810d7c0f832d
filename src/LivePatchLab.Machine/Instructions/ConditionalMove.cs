using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CMOVcc.</summary>
internal sealed unsafe class ConditionalMove : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Cmovo, Mnemonic.Cmovno, Mnemonic.Cmovb, Mnemonic.Cmovae, Mnemonic.Cmove, Mnemonic.Cmovne, Mnemonic.Cmovbe, Mnemonic.Cmova,
        Mnemonic.Cmovs, Mnemonic.Cmovns, Mnemonic.Cmovp, Mnemonic.Cmovnp, Mnemonic.Cmovl, Mnemonic.Cmovge, Mnemonic.Cmovle, Mnemonic.Cmovg,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is null || builder.Operand(1) is not { } source) return false;
        builder.Use(typeof(ConditionalMove), nameof(Copy), Conditions.Of(builder.Instruction), builder.Width(0), source);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy<TCondition, TWidth, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
    {
        // The source is read, and may fault, whatever the condition (SDM vol. 2, CMOVcc).
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!Conditions.IsReady<TCondition>(cpu))
        {
            Conditions.Settle(cpu, op, memory, budget);
            return;
        }

        // A 32-bit destination loses its upper half even when nothing is moved.
        var source = TWidth.Read(TSource.Readable(cpu, op, memory, address));
        var destination = (byte*)cpu + op->Destination;
        TWidth.WriteRegister(destination, Conditions.Holds<TCondition>(cpu) ? source : TWidth.Read(destination));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
