using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// LGDT, LIDT, SGDT and SIDT. Base and limit are kept to be read back; the machine is flat and delivers traps itself, so it never looks
/// into the tables. The loads serialise (SDM vol. 3, 9.3). The stores are for everyone: there is no UMIP here.
/// </summary>
internal sealed unsafe class DescriptorTables : InstructionFamily
{
    private const int PseudoDescriptorBytes = 10;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Sgdt, Mnemonic.Sidt];

    public override bool TryBuild(OpBuilder builder)
    {
        if (!builder.IsMemory(0) || builder.Instruction.MemorySize.GetSize() != PseudoDescriptorBytes) return false;
        var operand = builder.Operand(0);
        var table = builder.Instruction.Mnemonic is Mnemonic.Lgdt or Mnemonic.Sgdt ? typeof(Global) : typeof(Interrupt);
        var loads = builder.Instruction.Mnemonic is Mnemonic.Lgdt or Mnemonic.Lidt;
        builder.Use(typeof(DescriptorTables), loads ? nameof(Load) : nameof(Store), operand, table);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load<TOperand, TTable>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperand : struct, IOperand
        where TTable : struct, ITable
    {
        if (cpu->UserMode != 0)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        var address = TOperand.Locate(cpu, op);
        if (!TOperand.OpensForRead(cpu, op, address, PseudoDescriptorBytes))
        {
            TOperand.Refuse(cpu, op, memory, budget);
            return;
        }

        var place = TOperand.Readable(cpu, op, memory, address);
        if (!CarefulAccess.IsCanonical(*(ulong*)(place + 2)))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        *TTable.Of(cpu) = new DescriptorTable { Limit = *(ushort*)place, Base = *(ulong*)(place + 2) };
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store<TOperand, TTable>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TOperand : struct, IOperand
        where TTable : struct, ITable
    {
        var address = TOperand.Locate(cpu, op);
        if (!TOperand.OpensForWrite(cpu, op, address, PseudoDescriptorBytes))
        {
            TOperand.Refuse(cpu, op, memory, budget);
            return;
        }

        var place = TOperand.Writable(cpu, op, memory, address);
        *(ushort*)place = TTable.Of(cpu)->Limit;
        *(ulong*)(place + 2) = TTable.Of(cpu)->Base;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    internal interface ITable
    {
        static abstract DescriptorTable* Of(CpuState* cpu);
    }

    private readonly struct Global : ITable
    {
        public static DescriptorTable* Of(CpuState* cpu) => &cpu->GlobalTable;
    }

    private readonly struct Interrupt : ITable
    {
        public static DescriptorTable* Of(CpuState* cpu) => &cpu->InterruptTable;
    }
}

/// <summary>GDTR or IDTR.</summary>
internal struct DescriptorTable
{
    public ulong Base;
    public ushort Limit;
}
