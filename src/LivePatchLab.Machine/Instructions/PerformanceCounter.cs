using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>RDPMC: CPUID offers no counter, so whatever ECX names is out of range, which is #GP(0) at every privilege level (SDM vol. 2, RDPMC).</summary>
internal sealed unsafe class PerformanceCounter : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Rdpmc];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(PerformanceCounter), nameof(Refuse));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.WithGeneralProtection(cpu, op, memory, budget);
}
