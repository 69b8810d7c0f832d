using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Operands in FS and GS. The host's GS leads to the guest's memory, so a base of the guest's is added to the address like a register.</summary>
internal sealed unsafe partial class UnitTranslator
{
    private bool TryInSegment(in Instruction instruction, int refund)
    {
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Register && NativeInstructions.Number(instruction.GetOpRegister(i)) == Gpr.Rsp) SettleStack();
        LoadAddressInSegment(instruction);
        var host = instruction;
        host.HasLockPrefix = host.HasRepPrefix = host.HasRepnePrefix = false;
        host.SegmentPrefix = Register.GS;
        host.MemoryBase = Register.R14;
        host.MemoryIndex = Register.None;
        host.MemoryIndexScale = 1;
        host.MemoryDisplacement64 = 0;
        host.MemoryDisplSize = 0;
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Register) host.SetOpRegister(i, Place(instruction.GetOpRegister(i), Register.None, Register.None, Register.None, Register.None));
        return Encode(instruction, host, refund, isAccess: true);
    }

    /// <summary>The address of the memory operand, with the base of its segment, to the scratch register.</summary>
    private void LoadAddressInSegment(in Instruction instruction)
    {
        _held = -1;
        emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.Cpu);
        emitter.Memory(0x8b, NativeEmitter.Scratch, NativeEmitter.Scratch, instruction.MemorySegment == Register.FS ? NativeThunks.CpuFields.FsBase : NativeThunks.CpuFields.GsBase);
        var displacement = (int)(long)Displacement(instruction);
        if (instruction.MemoryIndex != Register.None)
        {
            AddToScratch(instruction.MemoryIndex, instruction.MemoryIndexScale, displacement);
            displacement = 0;
        }

        if (instruction.MemoryBase is not (Register.None or Register.RIP)) AddToScratch(instruction.MemoryBase, 1, displacement);
        else if (displacement != 0) emitter.Lea(NativeEmitter.Scratch, NativeEmitter.Scratch, displacement);
    }

    /// <summary>Adds a register to the scratch register, and a displacement, without a flag.</summary>
    private void AddToScratch(Register register, int scale, int displacement)
    {
        var host = Place(register, Register.None, Register.None, Register.None, Register.None);
        var size = displacement == 0 ? 0 : displacement == (sbyte)displacement ? 1 : 8;
        var sum = Instruction.Create(Code.Lea_r64_m, Register.R14, new MemoryOperand(Register.R14, host, scale, displacement, size));
        if (!emitter.TryEncode(sum)) throw new InvalidOperationException($"no encoding for {sum}");
    }
}
