using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>SERIALIZE, and the privileged WBINVD, INVD and INVLPG, which do nothing here but serialise (SDM vol. 3, 9.3).</summary>
internal sealed unsafe class Serialise : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Serialize, Mnemonic.Wbinvd, Mnemonic.Invd, Mnemonic.Invlpg];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(Serialise), builder.Instruction.Mnemonic == Mnemonic.Serialize ? nameof(Anywhere) : nameof(Privileged));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Anywhere(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Privileged(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0) Leave.WithGeneralProtection(cpu, op, memory, budget);
        else Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }
}
