using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Writes host code: guest instructions with their operands replaced by Iced, and the few instructions around them by their bytes.
/// None of the latter changes a flag unless it says so.
/// </summary>
internal sealed unsafe class NativeEmitter : CodeWriter
{
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rsp = 4, Rdi = 7, R13 = 13, R14 = 14, R15 = 15;

    /// <summary>What is left of the instructions to retire, less <see cref="UnitTranslator.Slack"/>.</summary>
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

    /// <summary>RORX to, from, bits.</summary>
    public void RotateRight(int to, int from, byte bits)
        => Bytes(0xc4, (byte)(0x43 | ((~to & 8) << 4) | ((~from & 8) << 2)), 0xfb, 0xf0, (byte)(0xc0 | ((to & 7) << 3) | (from & 7)), bits);

    /// <summary>The same from a place in the frame.</summary>
    public void RotateFrameRight(int to, byte slot, byte bits)
    {
        Bytes(0xc4, (byte)(0x63 | ((~to & 8) << 4)), 0xfb, 0xf0);
        ModRm(to, Rsp, slot);
        *_at++ = bits;
    }

    /// <summary>The operand bytes for a register and a place in the frame, behind an opcode without prefix.</summary>
    public void FrameOperand(int register, byte slot) => ModRm(register, Rsp, slot);

    /// <summary>MOVZX scratch, byte [displacement + scratch], the sum having 32 bits; see <see cref="AddressProbe"/>.</summary>
    public void ReadProbe(int displacement)
    {
        Bytes(0x67, 0x45, 0x0f, 0xb6, 0xb6);
        Word32(displacement);
    }

    /// <summary>SUB register, value: all flags are lost.</summary>
    public void Subtract(int register, int value)
    {
        var isByte = value == (sbyte)value;
        Bytes((byte)(0x48 | (register >> 3)), (byte)(isByte ? 0x83 : 0x81), (byte)(0xe8 | (register & 7)));
        if (isByte) *_at++ = (byte)value;
        else Word32(value);
    }

    /// <summary>JMP rel32 that is taken unless RCX is 0; gives the place of the displacement.</summary>
    public byte* JumpUnlessRcxIsZero()
    {
        Bytes(0xe3, 5);
        return Jump();
    }

    /// <summary>JRCXZ rel8 to what has been written at most 126 bytes before.</summary>
    public void JumpBackIfRcxIsZero(byte* target) => Bytes(0xe3, (byte)checked((sbyte)(target - (_at + 2))));

    /// <summary>Has what is written some bytes further on stand at a multiple of the alignment.</summary>
    public void Align(int alignment, int ahead)
    {
        while (((nint)_at + ahead) % alignment != 0) *_at++ = 0xcc;
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

    /// <summary>The same for one of 8 bits, given by where it ends.</summary>
    public void LandShort(byte* displacement) => displacement[-1] = (byte)checked((sbyte)(_at - displacement));

    public const int IfLess = 12;

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
