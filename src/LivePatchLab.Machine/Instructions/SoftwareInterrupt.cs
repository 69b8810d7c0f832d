using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>INT3 and INT1, which are traps: they retire, and RIP is behind them. INT n finds no gate it may use, which is #GP(n * 8 + 2).</summary>
internal sealed unsafe class SoftwareInterrupt : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Int3, Mnemonic.Int1, Mnemonic.Int];

    public override bool TryBuild(OpBuilder builder)
    {
        switch (builder.Instruction.Mnemonic)
        {
            case Mnemonic.Int:
                builder.Op->Immediate = (builder.Instruction.Immediate8 * 8) + 2;
                builder.Use(typeof(SoftwareInterrupt), nameof(WithoutGate));
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
    public static void WithoutGate(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        Traps.Record(cpu, Traps.GeneralProtection, (uint)op->Immediate);
        Leave.Trapped(cpu, op, memory, budget);
    }
}
