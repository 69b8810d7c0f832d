using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Writes host code: guest instructions with their operands replaced by Iced, and the few instructions around them by their bytes.
/// None of the latter changes a flag except ADOX, which changes OF alone.
/// </summary>
internal sealed unsafe class NativeEmitter : CodeWriter
{
    public const int Rax = 0, Rcx = 1, Rsp = 4, Rdi = 7, R13 = 13, R14 = 14, R15 = 15;

    /// <summary>Between instructions: what is left of the instructions to retire.</summary>
    public const int Budget = R13;

    /// <summary>Holds nothing from one guest instruction to the next.</summary>
    public const int Scratch = R14;

    /// <summary>The guest's RSP.</summary>
    public const int GuestRsp = R15;

    private const byte GsPrefix = 0x65;

    private readonly Encoder _encoder;
    private byte* _at;

    public NativeEmitter() => _encoder = Encoder.Create(64, this);

    public byte* At => _at;

    public void Begin(byte* at) => _at = at;

    public override void WriteByte(byte value) => *_at++ = value;

    public void Bytes(params ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes) *_at++ = value;
    }

    public void Word32(int value)
    {
        *(int*)_at = value;
        _at += 4;
    }

    public void Word64(long value)
    {
        *(long*)_at = value;
        _at += 8;
    }

    /// <summary>False, with nothing written, for what has no encoding with the registers it was given (AH beside R15, say).</summary>
    public bool TryEncode(in Instruction instruction)
    {
        var start = _at;
        if (_encoder.TryEncode(instruction, (ulong)_at, out _, out _)) return true;
        _at = start;
        return false;
    }

    /// <summary>One instruction of one opcode byte with a register and a memory operand [base + displacement], of 64 bits if <paramref name="wide"/>.</summary>
    public void Memory(byte opcode, int register, int @base, int displacement, bool guest = false, bool wide = true)
    {
        if (guest) *_at++ = GsPrefix;
        var rex = (wide ? 0x48 : 0x40) | ((register >> 3) << 2) | (@base >> 3);
        if (rex != 0x40) *_at++ = (byte)rex;
        *_at++ = opcode;
        ModRm(register, @base, displacement);
    }

    public void LoadFrame(int register, byte slot) => Memory(0x8b, register, Rsp, slot);

    public void StoreFrame(int register, byte slot) => Memory(0x89, register, Rsp, slot);

    public void Lea(int register, int @base, int displacement) => Memory(0x8d, register, @base, displacement);

    public void MoveRegister(int to, int from) => Bytes((byte)(0x48 | ((from >> 3) << 2) | (to >> 3)), 0x89, (byte)(0xc0 | ((from & 7) << 3) | (to & 7)));

    /// <summary>MOV qword [frame], sign-extended immediate.</summary>
    public void StoreFrameImmediate(byte slot, int value)
    {
        Memory(0xc7, 0, Rsp, slot);
        Word32(value);
    }

    /// <summary>OF = carry out of <paramref name="register"/> + frame slot (+ OF); the register is lost, no other flag changes.</summary>
    public void AddForOverflow(int register, byte slot)
    {
        Bytes(0xf3, (byte)(0x48 | ((register >> 3) << 2)), 0x0f, 0x38, 0xf6);
        ModRm(register, Rsp, slot);
    }

    /// <summary>OF = the register's top bit; the register is then twice itself, and in bit 0 has what OF was.</summary>
    public void TopBitToOverflow(int register) => Bytes(0xf3, (byte)(0x48 | ((register >> 3) << 2) | (register >> 3)), 0x0f, 0x38, 0xf6, (byte)(0xc0 | ((register & 7) << 3) | (register & 7)));

    /// <summary>OF = 0, and no other flag changes; the scratch register is 0.</summary>
    public void ClearOverflow()
    {
        Bytes(0x41, 0xbe, 0, 0, 0, 0);              // mov r14d, 0
        TopBitToOverflow(Scratch);
    }

    /// <summary>RORX scratch, scratch, 1.</summary>
    public void RotateScratchByOne() => Bytes(0xc4, 0x43, 0xfb, 0xf0, 0xf6, 1);

    /// <summary>Gives the guest its OF back, which the frame has kept.</summary>
    public void RestoreOverflow()
    {
        Bytes(0x44, 0x0f, 0xb6);                    // movzx r14d, byte [frame]
        ModRm(Scratch, Rsp, NativeFrame.Overflow);
        RotateScratchByOne();
        TopBitToOverflow(Scratch);
    }

    /// <summary>SETO byte [frame].</summary>
    public void SaveOverflow()
    {
        Bytes(0x0f, 0x90);
        ModRm(0, Rsp, NativeFrame.Overflow);
    }

    /// <summary>JMP rel32; gives the place of the displacement.</summary>
    public byte* Jump(byte* target = null)
    {
        *_at++ = 0xe9;
        return Relative(target);
    }

    /// <summary>Jcc rel32 by the condition's number in the encoding.</summary>
    public byte* JumpIf(int condition, byte* target = null)
    {
        Bytes(0x0f, (byte)(0x80 | condition));
        return Relative(target);
    }

    /// <summary>Has a displacement that has been written lead to where code is written now.</summary>
    public void Land(byte* displacement) => *(int*)displacement = (int)(_at - (displacement + 4));

    public const int IfOverflow = 0, IfBelow = 2, IfNotZero = 5;

    private byte* Relative(byte* target)
    {
        var place = _at;
        Word32(target == null ? 0 : (int)(target - (place + 4)));
        return place;
    }

    private void ModRm(int register, int @base, int displacement)
    {
        var reg = (register & 7) << 3;
        var mod = displacement == 0 && (@base & 7) != 5 ? 0 : displacement == (sbyte)displacement ? 1 : 2;
        *_at++ = (byte)((mod << 6) | reg | (@base & 7));
        if ((@base & 7) == 4) *_at++ = 0x24;
        if (mod == 1) *_at++ = (byte)displacement;
        else if (mod == 2) Word32(displacement);
    }
}
