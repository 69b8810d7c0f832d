using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CBW, CWDE, CDQE, which widen the accumulator, and CWD, CDQ, CQO, which spread its sign over DX, EDX, RDX.</summary>
internal sealed unsafe class SignExtension : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
        [Mnemonic.Cbw, Mnemonic.Cwde, Mnemonic.Cdqe, Mnemonic.Cwd, Mnemonic.Cdq, Mnemonic.Cqo];

    public override bool TryBuild(OpBuilder builder)
    {
        var mnemonic = builder.Instruction.Mnemonic;
        var width = OpBuilder.WidthOf(mnemonic switch
        {
            Mnemonic.Cbw or Mnemonic.Cwd => 2,
            Mnemonic.Cwde or Mnemonic.Cdq => 4,
            _ => 8,
        });
        if (mnemonic is Mnemonic.Cwd or Mnemonic.Cdq or Mnemonic.Cqo)
        {
            builder.Use(typeof(SignExtension), nameof(SpreadSign), width);
            return true;
        }

        // Widening is MOVSX from the accumulator to itself.
        builder.Op->Destination = builder.Op->Source = OpBuilder.OffsetOf(Register.RAX);
        var half = OpBuilder.WidthOf(mnemonic switch
        {
            Mnemonic.Cbw => 1,
            Mnemonic.Cwde => 2,
            _ => 4,
        });
        builder.Use(typeof(ExtendingMove), nameof(ExtendingMove.Copy), half, width, typeof(RegisterSource), typeof(SignedExtension));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SpreadSign<TWidth>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
    {
        TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rdx], (ulong)(TWidth.SignExtend(cpu->Registers[Gpr.Rax]) >> 63));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
