using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CLTS clears CR0.TS in the value that is kept of CR0; it is privileged and, unlike MOV to CR0, does not serialise (SDM vol. 3, 9.3).</summary>
internal sealed unsafe class TaskSwitched : InstructionFamily
{
    private const ulong Flag = 1 << 3;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Clts];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(TaskSwitched), nameof(Clear));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Clear(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        cpu->ControlRegisters[0] &= ~Flag;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
