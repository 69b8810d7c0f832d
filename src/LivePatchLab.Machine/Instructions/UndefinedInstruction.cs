using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>UD0, UD1, UD2, what is no instruction, and what this machine does not implement: #UD. What is longer than an instruction may be: #GP(0).</summary>
internal sealed unsafe class UndefinedInstruction : InstructionFamily
{
    public static UndefinedInstruction Instance { get; } = new();

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.INVALID, Mnemonic.Ud0, Mnemonic.Ud1, Mnemonic.Ud2];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(UndefinedInstruction), nameof(Raise));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    public static void BuildTooLong(OpBuilder builder) => builder.Use(typeof(Leave), nameof(Leave.WithGeneralProtection));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Raise(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        Traps.Record(cpu, Traps.InvalidOpcode);
        Leave.Trapped(cpu, op, memory, budget);
    }
}
