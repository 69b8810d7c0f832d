using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>SYSCALL: RCX gets the return address and R11 the flags; what happens then is the machine's business (SDM vol. 2, SYSCALL).</summary>
internal sealed unsafe class SystemCall : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Syscall];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(SystemCall), nameof(Enter));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Enter(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Registers[Gpr.Rcx] = op->NextAddress;
        cpu->Registers[Gpr.R11] = LazyFlags.ReadAll(cpu);
        Leave.Retired(cpu, op, budget, ExecutionExit.Syscall);
    }
}
