using System.Buffers.Binary;

namespace LivePatchLab.Linux;

/// <summary>
/// Decodes the legacy LZ4 frame that Linux packs its kernels with (scripts/Makefile.lib, cmd_lz4; lib/decompress_unlz4.c): a magic,
/// then blocks of a 32-bit length and as many bytes of raw LZ4 (lz4_Block_format.md of the LZ4 sources).
/// </summary>
internal static class Lz4Legacy
{
    public const uint Magic = 0x184c2102;

    /// <summary>A block gives 8 MiB at most (LEGACY_BLOCKSIZE), so its packed form is little longer.</summary>
    private const int BlockBytesMax = 8 << 20;

    private const int MatchBytesMin = 4;

    /// <summary>Decodes a frame that must give exactly <paramref name="length"/> bytes.</summary>
    public static byte[] Decode(ImageBytes frame, int length)
    {
        var output = GC.AllocateUninitializedArray<byte>(length);
        var written = 0;
        ulong at = 4;
        while (at < (ulong)frame.Length)
        {
            var packed = frame.UInt32(at, "the length of an LZ4 block");
            at += 4;
            // Frames may follow each other; the kernel's decoder takes them for one.
            if (packed == Magic) continue;
            var block = frame.Span(at, packed, "an LZ4 block");
            at += packed;
            var room = output.AsSpan(written, Math.Min(BlockBytesMax, length - written));
            var got = DecodeBlock(block, room);
            if (got < 0) throw frame.Bad($"the LZ4 block that ends at 0x{at:x} of the payload is damaged; fetch the image again");
            written += got;
        }

        return written == length ? output : throw frame.Bad($"the LZ4 payload unpacks to {written} bytes, its trailer says {length}; fetch the image again");
    }

    /// <summary>Decodes one block to the start of <paramref name="output"/>; the count of bytes, or -1 where the block is not valid or has more than fit.</summary>
    public static int DecodeBlock(ReadOnlySpan<byte> input, Span<byte> output)
    {
        int from = 0, to = 0;
        while (from < input.Length)
        {
            int token = input[from++];
            if (!TryReadLength(input, ref from, token >> 4, out var literals)) return -1;
            if (literals > input.Length - from || literals > output.Length - to) return -1;
            input.Slice(from, literals).CopyTo(output[to..]);
            from += literals;
            to += literals;
            // The last sequence is literals alone.
            if (from == input.Length) return to;

            if (input.Length - from < 2) return -1;
            int distance = BinaryPrimitives.ReadUInt16LittleEndian(input[from..]);
            from += 2;
            if (!TryReadLength(input, ref from, token & 15, out var match)) return -1;
            match += MatchBytesMin;
            if (distance == 0 || distance > to || match > output.Length - to) return -1;
            CopyMatch(output, to, distance, match);
            to += match;
        }

        return to;
    }

    /// <summary>A match may reach into its own output: then what it repeats doubles with each copy.</summary>
    private static void CopyMatch(Span<byte> output, int to, int distance, int length)
    {
        var source = to - distance;
        while (length > 0)
        {
            var chunk = Math.Min(length, to - source);
            output.Slice(source, chunk).CopyTo(output[to..]);
            to += chunk;
            length -= chunk;
        }
    }

    private static bool TryReadLength(ReadOnlySpan<byte> input, ref int at, int nibble, out int length)
    {
        length = nibble;
        if (nibble != 15) return true;
        int more;
        do
        {
            if (at >= input.Length || length > BlockBytesMax) return false;
            more = input[at++];
            length += more;
        }
        while (more == 255);
        return true;
    }
}
