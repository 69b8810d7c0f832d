using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>LEA.</summary>
internal sealed unsafe class LoadEffectiveAddress : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Lea];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Operand(0);
        builder.Address();

        // LEA computes the offset within the segment: no base is added (SDM vol. 2, LEA).
        builder.Op->Scale &= unchecked((byte)~(AnyAddress.Fs | AnyAddress.Gs));
        builder.Use(typeof(LoadEffectiveAddress), nameof(Load), builder.Width(0), builder.AddressShape);
        return true;
    }

    // The memory operand is never touched.
    public override bool MayLeave(in Instruction instruction) => false;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load<TWidth, TAddress>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TAddress : struct, IAddress
    {
        TWidth.WriteRegister((byte*)cpu + op->Destination, TAddress.Of(cpu, op));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
