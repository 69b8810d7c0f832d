using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Instructions that stay what they are, with the guest's operands replaced by the host's.</summary>
internal sealed unsafe partial class UnitTranslator
{
    // In the scratch register is the host's address of the guest's address 0.
    private const int HeldOrigin = -2;

    // Those that no instruction uses without naming them.
    private static readonly Register[] Lendable = [Register.R11, Register.R10, Register.R9, Register.R8, Register.R12, Register.RSI, Register.RDI, Register.RBP];

    /// <summary>The 64-bit word that an indirect jump, call or PUSH takes from a register or from memory, to the scratch register.</summary>
    private bool TryLoadTarget(in Instruction instruction, int refund)
    {
        _held = -1;
        if (instruction.Op0Kind == OpKind.Register)
        {
            if (instruction.Op0Register == Register.RSP) SettleStack();
            CopyToScratch(NativeInstructions.Number(instruction.Op0Register));
            return true;
        }

        var load = Instruction.Create(Code.Mov_r64_rm64, Register.R14, new MemoryOperand(instruction.MemoryBase, instruction.MemoryIndex, instruction.MemoryIndexScale,
            (long)Displacement(instruction), 8));
        if (instruction.IsIPRelativeMemoryOperand) load.MemoryBase = Register.None;
        var isBaseSpilled = _homes.IsInFrame(NativeInstructions.Number(load.MemoryBase));
        var isIndexSpilled = _homes.IsInFrame(NativeInstructions.Number(load.MemoryIndex));
        if (isBaseSpilled && isIndexSpilled && load.MemoryBase != load.MemoryIndex) return false;
        var spilled = isBaseSpilled ? load.MemoryBase : isIndexSpilled ? load.MemoryIndex : Register.None;
        if (spilled != Register.None) CopyToScratch(NativeInstructions.Number(spilled));
        PlaceAddress(ref load, (long)Displacement(instruction), spilled, Register.R14, Register.None, Register.None);
        load.SegmentPrefix = Register.GS;
        NoteFault(instruction, refund);
        return emitter.TryEncode(load);
    }

    /// <summary>The address of the memory operand, of a base and an index or an index alone or in a segment, to the scratch register.</summary>
    private void LoadAddress(in Instruction instruction)
    {
        if (NativeInstructions.IsInSegment(instruction))
        {
            LoadAddressInSegment(instruction);
            return;
        }

        var (@base, index) = (instruction.MemoryBase, instruction.MemoryIndex);
        var isBaseInFrame = @base != Register.None && _homes.IsInFrame(NativeInstructions.Number(@base));
        var first = isBaseInFrame ? @base : _homes.IsInFrame(NativeInstructions.Number(index)) ? index : Register.None;
        var second = isBaseInFrame && index != @base && _homes.IsInFrame(NativeInstructions.Number(index)) ? index : Register.None;
        if (first != Register.None) CopyToScratch(NativeInstructions.Number(first));
        if (second != Register.None)
        {
            emitter.StoreFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
            emitter.LoadFrame(NativeEmitter.Rcx, SlotOf(second));
        }

        var load = Instruction.Create(Code.Lea_r64_m, Register.R14, new MemoryOperand(@base, index, instruction.MemoryIndexScale, (long)Displacement(instruction), 8));
        PlaceAddress(ref load, (long)Displacement(instruction), first, Register.R14, second, Register.RCX);
        if (!emitter.TryEncode(load)) throw new InvalidOperationException($"no LEA for {instruction}");
        if (second != Register.None) emitter.LoadFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
    }

    private bool TryOrdinary(in Instruction instruction, int refund, bool waits)
    {
        if (NativeInstructions.IsInSegment(instruction)) return TryInSegment(instruction, refund);
        var host = instruction;
        var memoryOperand = -1;
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Memory) memoryOperand = i;

        // The registers that are in the frame, in the order in which they get a register for the time being.
        var (first, second) = (Register.None, Register.None);
        var tooMany = false;
        void Use(Register register)
        {
            if (!_homes.IsInFrame(NativeInstructions.Number(register))) return;
            var full = register.GetFullRegister();
            if (first == Register.None || first == full) first = full;
            else if (second == Register.None || second == full) second = full;
            else tooMany = true;
        }

        if (memoryOperand >= 0)
        {
            Use(instruction.MemoryBase);
            Use(instruction.MemoryIndex);
        }

        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Register) Use(instruction.GetOpRegister(i));
        if (tooMany) return false;
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Register && NativeInstructions.Number(instruction.GetOpRegister(i)) == Gpr.Rsp) SettleStack();

        // Prefixes mean nothing here, but one of a segment would come to mean something once an operand is in the frame.
        host.HasLockPrefix = host.HasRepPrefix = host.HasRepnePrefix = false;
        host.SegmentPrefix = Register.None;
        var mayFault = NativeInstructions.MemoryOperand(instruction) >= 0 || instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv;
        if (memoryOperand < 0 && first != Register.None && !IsHeld(first) && second == Register.None && TryInFrame(instruction, first, Register.None, out var inFrame))
            return Encode(instruction, inFrame, refund, mayFault);
        if (memoryOperand < 0 && second != Register.None && instruction.OpCount == 2)
        {
            // The source stays in the frame, the destination does not.
            var source = instruction.Op1Register.GetFullRegister();
            var destination = source == first ? second : first;
            if (TryInFrame(instruction, source, destination, out inFrame) && !IsWritten(instruction, source))
            {
                Hold(instruction, destination);
                if (!Encode(instruction, inFrame, refund, mayFault)) return false;
                if (IsWritten(instruction, destination)) emitter.StoreFrame(NativeEmitter.Scratch, SlotOf(destination));
                return true;
            }
        }

        var borrowed = second == Register.None ? Register.None : Lend(instruction);
        if (borrowed != Register.None)
        {
            emitter.StoreFrame(NativeInstructions.Number(borrowed), NativeFrame.Borrowed);
            emitter.LoadFrame(NativeInstructions.Number(borrowed), SlotOf(second));
        }

        if (first != Register.None) Hold(instruction, first);
        if (memoryOperand >= 0)
        {
            PlaceAddress(ref host, (long)Displacement(instruction), first, Register.R14, second, borrowed);
            if (instruction.Mnemonic == Mnemonic.Lea) host.SegmentPrefix = Register.None;
            else if (!waits || memoryOperand == 0 || first != Register.None || !TryAddressByOrigin(ref host, (long)Displacement(instruction))) host.SegmentPrefix = Register.GS;
        }

        for (var i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) != OpKind.Register) continue;
            var register = instruction.GetOpRegister(i);
            host.SetOpRegister(i, Place(register, first, Register.R14, second, borrowed));
        }

        var number = borrowed == Register.None ? -1 : NativeInstructions.Number(borrowed);
        if (!Encode(instruction, host, refund, mayFault, number)) return false;
        if (first != Register.None && IsWritten(instruction, first)) emitter.StoreFrame(NativeEmitter.Scratch, SlotOf(first));
        if (borrowed == Register.None) return true;
        if (IsWritten(instruction, second)) emitter.StoreFrame(number, SlotOf(second));
        emitter.LoadFrame(number, NativeFrame.Borrowed);
        return true;
    }

    /// <summary>
    /// A segment with a base makes a load some cycles longer, which is felt where the address was waited for, as in a list that is gone through; a register with that base
    /// does not. One of the three parts of an address must be free for it. A precise form, which needs the scratch register before each instruction, goes without.
    /// </summary>
    private bool TryAddressByOrigin(ref Instruction host, long displacement)
    {
        if (_isPrecise || (host.MemoryBase != Register.None && host.MemoryIndex != Register.None)) return false;
        if (_held != HeldOrigin)
        {
            emitter.Bytes(0x49, 0xbe);                                                // mov r14, origin
            emitter.Word64(origin);
            _held = HeldOrigin;
        }

        if (host.MemoryBase != Register.None) (host.MemoryIndex, host.MemoryIndexScale) = (host.MemoryBase, 1);
        host.MemoryBase = Register.R14;
        host.MemoryDisplSize = displacement == 0 ? 0 : displacement == (sbyte)displacement ? 1 : 8;
        host.SegmentPrefix = Register.None;
        return true;
    }

    private bool IsHeld(Register register) => _held == NativeInstructions.Number(register);

    /// <summary>Has the scratch register be a register of the frame's, with what that holds unless it is written over. Results are always stored, so the frame is never behind.</summary>
    private void Hold(in Instruction instruction, Register register)
    {
        if (!IsHeld(register) && IsOldSeen(instruction, register)) emitter.LoadFrame(NativeEmitter.Scratch, SlotOf(register));
        _held = NativeInstructions.Number(register);
    }

    /// <summary>What the register held before comes into it, if only by its upper bytes.</summary>
    private bool IsOldSeen(in Instruction instruction, Register full)
    {
        foreach (var used in _factory.GetInfo(instruction).GetUsedRegisters())
            if (used.Register.GetFullRegister() == full && (used.Access != OpAccess.Write || used.Register.GetSize() < 4)) return true;
        return instruction.MemoryBase == full || instruction.MemoryIndex == full;
    }

    private bool Encode(in Instruction instruction, in Instruction host, int refund, bool isAccess, int borrowed = -1)
    {
        if (isAccess) NoteFault(instruction, refund, borrowed);
        return emitter.TryEncode(host);
    }

    /// <summary>An operand may stay in the frame where the encoding allows memory for it, unless it is a 32-bit result, which has the upper half cleared.</summary>
    private bool TryInFrame(in Instruction instruction, Register spilled, Register held, out Instruction host)
    {
        host = instruction;
        host.HasLockPrefix = host.HasRepPrefix = host.HasRepnePrefix = false;
        host.SegmentPrefix = Register.None;

        // XCHG with memory locks the bus, and a bit's number in a register reaches beyond its operand in memory.
        if (instruction.Mnemonic is Mnemonic.Xchg or Mnemonic.Lea or Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc) return false;

        var operand = -1;
        for (var i = 0; i < host.OpCount; i++)
        {
            if (host.GetOpKind(i) != OpKind.Register) continue;
            var register = host.GetOpRegister(i);
            host.SetOpRegister(i, Place(register, held, Register.R14, Register.None, Register.None));
            if (register.GetFullRegister() != spilled) continue;
            if (operand >= 0) return false;
            operand = i;
        }

        if (operand is not (0 or 1)) return false;
        if (instruction.GetOpRegister(operand).IsGPR32() && IsWritten(instruction, spilled)) return false;
        if (FrameForms.Of(host.Code, operand) is not { } code) return false;
        host.Code = code;
        SetFrameOperand(ref host, operand, SlotOf(spilled));
        return true;
    }

    /// <summary>Has an operand be a place in the frame.</summary>
    public static void SetFrameOperand(ref Instruction host, int operand, byte slot)
    {
        if (operand == 0) host.Op0Kind = OpKind.Memory;
        else if (operand == 1) host.Op1Kind = OpKind.Memory;
        else host.Op2Kind = OpKind.Memory;
        host.MemoryBase = Register.RSP;
        host.MemoryIndex = Register.None;
        host.MemoryIndexScale = 1;
        host.MemoryDisplacement64 = slot;
        host.MemoryDisplSize = 1;
    }

    private void PlaceAddress(ref Instruction host, long displacement, Register first, Register firstHost, Register second, Register secondHost)
    {
        if (host.MemoryBase == Register.RIP) host.MemoryBase = Register.None;
        if (host.MemoryBase != Register.None) host.MemoryBase = Place(host.MemoryBase, first, firstHost, second, secondHost);
        if (host.MemoryIndex != Register.None) host.MemoryIndex = Place(host.MemoryIndex, first, firstHost, second, secondHost);
        host.MemoryDisplacement64 = (ulong)displacement;
        host.MemoryDisplSize = host.MemoryBase == Register.None ? 8 : displacement == 0 ? 0 : displacement == (sbyte)displacement ? 1 : 8;
    }

    private ulong Displacement(in Instruction instruction)
        => instruction.IsIPRelativeMemoryOperand ? instruction.IPRelativeMemoryAddress
            : instruction.MemoryDisplacement64 + (instruction.MemoryBase == Register.RSP ? (ulong)(long)_stackStep : 0);

    /// <summary>The host's register for one of the guest's, of the same size.</summary>
    private Register Place(Register register, Register first, Register firstHost, Register second, Register secondHost)
    {
        var full = register.GetFullRegister();
        if (register is >= Register.AH and <= Register.BH) return register;
        if (first != Register.None && full == first) return Sized(firstHost, register);
        if (second != Register.None && full == second) return Sized(secondHost, register);
        return NativeInstructions.Number(full) is >= 0 and var number && _homes.HostOf(number) is var host && host != number ? Sized(Register.RAX + host, register) : register;
    }

    private static Register Sized(Register full, Register like) => like.GetSize() switch
    {
        8 => full,
        4 => full - Register.RAX + Register.EAX,
        2 => full - Register.RAX + Register.AX,
        _ => full - Register.RAX < 4 ? full - Register.RAX + Register.AL : full - Register.RAX - 4 + Register.SPL,
    };

    private static byte SlotOf(Register register) => NativeThunks.FrameSlot(NativeInstructions.Number(register));

    private bool IsWritten(in Instruction instruction, Register full)
    {
        foreach (var used in _factory.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Register.GetFullRegister() == full && used.Access is OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite) return true;
        }

        return false;
    }

    /// <summary>A register that the instruction does not use.</summary>
    private Register Lend(in Instruction instruction)
    {
        var used = _factory.GetInfo(instruction).GetUsedRegisters();
        foreach (var candidate in Lendable)
        {
            var isUsed = false;
            foreach (var register in used)
                isUsed |= NativeInstructions.Number(register.Register) is >= 0 and var number && _homes.HostOf(number) == NativeInstructions.Number(candidate);
            if (!isUsed) return candidate;
        }

        throw new InvalidOperationException($"{instruction} uses every register that could be lent");
    }
}
