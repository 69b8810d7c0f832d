using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CLFLUSH, CLFLUSHOPT and CLWB. Data is coherent and there is no cache, so what remains is that they fault as a load of a byte does (SDM vol. 2, CLFLUSH).</summary>
internal sealed unsafe class CacheLineFlush : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Clflush, Mnemonic.Clflushopt, Mnemonic.Clwb];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } operand) return false;
        builder.Use(typeof(CacheLineFlush), nameof(Flush), operand);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Flush<TOperand>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperand : struct, IOperand
    {
        if (!OperandAccess.OpensForRead<TOperand, Bits8>(cpu, op))
        {
            TOperand.Refuse(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
