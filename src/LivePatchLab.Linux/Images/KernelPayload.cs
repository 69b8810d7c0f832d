using System.IO.Compression;

namespace LivePatchLab.Linux;

/// <summary>Unpacks the payload of a bzImage, by its magic (arch/x86/boot/compressed/Makefile lists the seven codecs).</summary>
internal static class KernelPayload
{
    /// <summary>No kernel is near this; what says more is damaged.</summary>
    private const int UnpackedBytesMax = 1 << 29;

    private static readonly byte[] XzMagic = [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0];

    public static (string Codec, byte[] Vmlinux) Unpack(ImageBytes payload)
    {
        var start = payload.Span(0, 8, "the packed kernel");
        // size_append of scripts/Makefile.lib: the last four bytes are the unpacked size. gzip has its own such trailer (ISIZE).
        var length = payload.UInt32((ulong)payload.Length - 4, "the unpacked size");
        if (length is < 64 or > UnpackedBytesMax) throw payload.Bad($"the packed kernel says that it unpacks to {length} bytes; fetch the image again");
        var packed = new ImageBytes(payload.Memory[..^4], payload.Source);

        if (payload.UInt32(0, "the codec's magic") == Lz4Legacy.Magic) return ("lz4", Lz4Legacy.Decode(packed, (int)length));
        if (start is [0x1f, 0x8b, ..]) return ("gzip", Gunzip(payload, (int)length));
        if (start.StartsWith(XzMagic)) return ("xz", ExternalCodec.Xz.Unpack(packed, (int)length));
        if (start is [0x28, 0xb5, 0x2f, 0xfd, ..]) return ("zstd", ExternalCodec.Zstd.Unpack(packed, (int)length));
        if (start is [(byte)'B', (byte)'Z', (byte)'h', ..]) return ("bzip2", ExternalCodec.Bzip2.Unpack(packed, (int)length));
        if (start is [0x5d, 0, 0, ..]) return ("lzma", ExternalCodec.Lzma.Unpack(packed, (int)length));
        if (start is [0x89, (byte)'L', (byte)'Z', (byte)'O', ..]) return ("lzo", ExternalCodec.Lzo.Unpack(packed, (int)length));
        throw payload.Bad($"the packed kernel begins with {Convert.ToHexStringLower(start)}, which is no codec of Linux's; give its vmlinux (scripts/extract-vmlinux)");
    }

    private static byte[] Gunzip(ImageBytes payload, int length)
    {
        var output = new byte[length];
        try
        {
            using var stream = new GZipStream(new MemoryStream(payload.Memory.ToArray()), CompressionMode.Decompress);
            stream.ReadExactly(output);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw payload.Bad("the gzip payload is damaged; fetch the image again");
        }

        return output;
    }
}
