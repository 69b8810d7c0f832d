using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// INT3, INT1 and INT n are traps: they retire, and RIP is behind them. LIDT loads nothing that counts: there is a gate for each exception
/// vector and for no other, and as in Linux programs may use those of #BP and #OF. Without a gate INT n is #GP(n * 8 + 2) (SDM vol. 3, 6.12.1.2).
/// </summary>
internal sealed unsafe class SoftwareInterrupt : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Int3, Mnemonic.Int1, Mnemonic.Int];

    public override bool TryBuild(OpBuilder builder)
    {
        switch (builder.Instruction.Mnemonic)
        {
            case Mnemonic.Int:
                builder.Op->Immediate = builder.Instruction.Immediate8;
                builder.Use(typeof(SoftwareInterrupt), nameof(ThroughGate));
                return true;
            default:
                builder.Op->Immediate = builder.Instruction.Mnemonic == Mnemonic.Int3 ? Traps.Breakpoint : Traps.Debug;
                builder.Use(typeof(SoftwareInterrupt), nameof(Trap));
                return true;
        }
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Trap(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        Traps.Record(cpu, (int)op->Immediate);
        Leave.Retired(cpu, op, budget, ExecutionExit.Trap);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ThroughGate(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var vector = (int)op->Immediate;
        if (cpu->UserMode != 0 ? vector is Traps.Breakpoint or Traps.Overflow : vector < ExceptionVectors)
        {
            Trap(cpu, op, memory, budget);
            return;
        }

        Traps.Record(cpu, Traps.GeneralProtection, ((uint)vector * 8) + 2);
        Leave.Trapped(cpu, op, memory, budget);
    }

    private const int ExceptionVectors = 32;
}
