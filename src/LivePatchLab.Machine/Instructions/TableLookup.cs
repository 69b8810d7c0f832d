using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>XLATB: AL = [RBX + AL].</summary>
internal sealed unsafe class TableLookup : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Xlatb];

    public override bool TryBuild(OpBuilder builder)
    {
        // AL, zero-extended, is an index that no address shape has: the handler adds it to a plain base.
        builder.Op->Base = OpBuilder.OffsetOf(Register.RBX);
        if (builder.Instruction.MemoryBase == Register.EBX) builder.Op->Scale |= AnyAddress.Truncate;
        if (builder.Instruction.MemorySegment == Register.FS) builder.Op->Scale |= AnyAddress.Fs;
        if (builder.Instruction.MemorySegment == Register.GS) builder.Op->Scale |= AnyAddress.Gs;
        builder.Use(typeof(TableLookup), nameof(Look), builder.IsCareful ? typeof(CarefulMemory) : typeof(PlainMemory<AnyAddress>));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Look<TTable>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TTable : struct, IOperand
    {
        var offset = *(ulong*)((byte*)cpu + op->Base) + (byte)cpu->Registers[Gpr.Rax];
        if ((op->Scale & AnyAddress.Truncate) != 0) offset = (uint)offset;
        if ((op->Scale & AnyAddress.Fs) != 0) offset += cpu->FsBase;
        if ((op->Scale & AnyAddress.Gs) != 0) offset += cpu->GsBase;
        if (!TTable.OpensForRead(cpu, op, offset, 1))
        {
            TTable.Refuse(cpu, op, memory, budget);
            return;
        }

        *(byte*)&cpu->Registers[Gpr.Rax] = *TTable.Readable(cpu, op, memory, offset);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
