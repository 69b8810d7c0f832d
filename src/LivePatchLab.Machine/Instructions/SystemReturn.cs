using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// SYSRETQ: to CPL 3 with RIP from RCX and RFLAGS from R11 (SDM vol. 2, SYSRET). It does not serialise by the SDM; the machine is told of it because a fetch model may say otherwise. A target that is not canonical is
/// #GP(0) at CPL 0, as on Intel processors. SYSRETD returns to 32-bit code, which this machine does not have.
/// </summary>
internal sealed unsafe class SystemReturn : InstructionFamily
{
    // R11 less RF, VM and the reserved bits.
    private const uint FlagsFromR11 = 0x3c_7fd7;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Sysretq];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(SystemReturn), nameof(ToUser));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ToUser(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var target = cpu->Registers[Gpr.Rcx];
        if (cpu->UserMode != 0 || !CarefulAccess.IsCanonical(target))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        LazyFlags.WriteAll(cpu, cpu->Registers[Gpr.R11] & FlagsFromR11);
        cpu->UserMode = 1;
        Leave.Retired(cpu, op, budget, ExecutionExit.SystemReturn);
        cpu->Rip = target;
    }
}
