using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Encodes and decodes again: XCHG EAX, EAX is NOP, and what counts is what the bytes say.</summary>
internal static class InstructionBytes
{
    [ThreadStatic]
    private static (Encoder Encoder, Sink Sink)? s_shared;

    /// <summary>The bytes of some code that is to stand at an address.</summary>
    public static byte[] Assemble(ulong rip, Action<Assembler> write)
    {
        var assembler = new Assembler(64);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), rip);
        return stream.ToArray();
    }

    /// <summary>False when there is no such encoding, or it means another instruction.</summary>
    public static bool TryEncode(ref Instruction instruction, ulong rip, byte[] bytes, out int length)
    {
        var code = instruction.Code;
        var (encoder, sink) = s_shared ??= Make();
        sink.Bytes = bytes;
        sink.Count = 0;
        var isGood = encoder.TryEncode(instruction, rip, out _, out _);
        length = sink.Count;
        if (!isGood) return false;
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(bytes, 0, length));
        decoder.IP = rip;
        decoder.Decode(out instruction);
        return instruction.Code == code && instruction.Length == length;
    }

    private static (Encoder Encoder, Sink Sink) Make()
    {
        var sink = new Sink();
        return (Encoder.Create(64, sink), sink);
    }

    private sealed class Sink : CodeWriter
    {
        public byte[] Bytes { get; set; } = [];

        public int Count { get; set; }

        public override void WriteByte(byte value)
        {
            if (Count < Bytes.Length) Bytes[Count] = value;
            Count++;
        }
    }
}
