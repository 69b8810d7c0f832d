using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>HLT.</summary>
internal sealed unsafe class Halt : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Hlt];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(Halt), nameof(Stop));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Stop(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0) Leave.WithGeneralProtection(cpu, op, memory, budget);
        else Leave.Retired(cpu, op, budget, ExecutionExit.Halt);
    }
}
