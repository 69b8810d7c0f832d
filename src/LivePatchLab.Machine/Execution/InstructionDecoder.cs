using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What the machine takes bytes for, beyond what Iced says of them.</summary>
internal static class InstructionDecoder
{
    /// <summary>More bytes than that in one instruction are #GP(0) (SDM vol. 3, 6.15, interrupt 13).</summary>
    public const int LongestInstruction = 15;

    // In the immediate of what is no instruction, and so has none.
    private const uint TooLong = 0xffff_ffff;

    /// <summary>
    /// F3 90 is PAUSE, and a NOP here. With REX.B the opcode is no longer that of NOP but of XCHG with R8, where F3 means nothing: LLVM reads it so and
    /// AMD's processors execute it so; XED and binutils say PAUSE. Iced does what is chosen here if it is not to know PAUSE.
    /// </summary>
    private const DecoderOptions Options = DecoderOptions.NoPause;

    public static Decoder Create(CodeReader reader) => Decoder.Create(64, reader, Options);

    /// <summary>Decodes the instruction that begins at <paramref name="index"/> and stands at <paramref name="rip"/>.</summary>
    public static void Decode(byte[] bytes, int index, ulong rip, out Instruction instruction)
    {
        var decoder = Create(new ByteArrayCodeReader(bytes, index, bytes.Length - index));
        decoder.IP = rip;
        decoder.Decode(out instruction);
        NoteLength(ref instruction, bytes.AsSpan(index, instruction.Length));
    }

    /// <summary>Finds out whether what is no instruction is one without end.</summary>
    /// <param name="instruction">As Iced has decoded it.</param>
    /// <param name="bytes">Those that it was decoded from, and no more.</param>
    public static void NoteLength(ref Instruction instruction, ReadOnlySpan<byte> bytes)
    {
        if (instruction.IsInvalid && bytes.Length == LongestInstruction && NeedsMore(bytes)) instruction.Immediate32 = TooLong;
    }

    /// <summary>True for bytes that would be an instruction, or an undefined one, if there were no limit to the length.</summary>
    public static bool IsTooLong(in Instruction instruction) => instruction.IsInvalid && instruction.Immediate32 == TooLong;

    /// <summary>
    /// Iced calls what is too long invalid, as it does what is undefined. So it is decoded again without the prefixes that say nothing about the length:
    /// then there is an end to it within the limit, and the question is whether the bytes reach to it.
    /// </summary>
    private static bool NeedsMore(ReadOnlySpan<byte> bytes)
    {
        var kept = new byte[LongestInstruction];
        int count = 0, at = 0;
        byte extension = 0, operandSize = 0, addressSize = 0, repeat = 0;
        for (; at < bytes.Length; at++)
        {
            var prefix = bytes[at];
            if (prefix is >= 0x40 and < 0x50)
            {
                extension = prefix;
                continue;
            }

            // REX counts only where the opcode follows it.
            if (prefix is not (0x66 or 0x67 or 0xf0 or 0xf2 or 0xf3 or 0x26 or 0x2e or 0x36 or 0x3e or 0x64 or 0x65)) break;
            extension = 0;
            if (prefix == 0x66) operandSize = prefix;
            else if (prefix == 0x67) addressSize = prefix;
            else if (prefix is 0xf2 or 0xf3) repeat = prefix;
        }

        foreach (var prefix in (ReadOnlySpan<byte>)[operandSize, addressSize, repeat, extension])
            if (prefix != 0) kept[count++] = prefix;
        bytes[at..].CopyTo(kept.AsSpan(count));
        count += bytes.Length - at;
        return IsUnfinished(kept, count);
    }

    /// <summary>Iced wants a ModRM byte of opcodes that are undefined, too. So some continuation has to be an instruction.</summary>
    private static bool IsUnfinished(byte[] bytes, int count)
    {
        if (!EndsTooSoon(bytes, count)) return false;
        for (var next = 0; next <= byte.MaxValue; next++)
        {
            bytes[count] = (byte)next;
            var decoder = Create(new ByteArrayCodeReader(bytes));
            decoder.Decode(out var instruction);
            if (!instruction.IsInvalid) return true;
        }

        return false;
    }

    private static bool EndsTooSoon(byte[] bytes, int count)
    {
        var decoder = Create(new ByteArrayCodeReader(bytes, 0, count));
        decoder.Decode(out _);
        return decoder.LastError == DecoderError.NoMoreBytes;
    }
}
