using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>ADCX and ADOX: an addition whose carry goes in and out by one flag, CF or OF, and that leaves the other five alone (SDM vol. 2, ADCX).</summary>
internal sealed unsafe class CarryChain : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Adcx, Mnemonic.Adox];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is null || builder.Operand(1) is not { } source) return false;
        builder.Use(typeof(CarryChain), nameof(Add), builder.Instruction.Mnemonic == Mnemonic.Adcx ? typeof(ByCarry) : typeof(ByOverflow), builder.Width(0), source);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<TFlag, TWidth, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TFlag : struct, ICarryFlag
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
    {
        if (!OperandAccess.OpensForRead<TSource, TWidth>(cpu, op))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var a = TWidth.Read((byte*)cpu + op->Destination);
        var b = TWidth.Read(OperandAccess.Readable<TSource>(cpu, op, memory));
        var sum = (UInt128)a + b + ((LazyFlags.Status(cpu) & TFlag.Bit) != 0 ? 1u : 0u);
        TWidth.WriteRegister((byte*)cpu + op->Destination, (ulong)sum);
        LazyFlags.Replace(cpu, TFlag.Bit, sum >> TWidth.Bits != 0 ? TFlag.Bit : 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    internal interface ICarryFlag
    {
        static abstract uint Bit { get; }
    }

    private readonly struct ByCarry : ICarryFlag
    {
        public static uint Bit => LazyFlags.Carry;
    }

    private readonly struct ByOverflow : ICarryFlag
    {
        public static uint Bit => LazyFlags.Overflow;
    }
}
