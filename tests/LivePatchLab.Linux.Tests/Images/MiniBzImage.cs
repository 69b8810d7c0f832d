using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;

namespace LivePatchLab.Linux.Tests;

/// <summary>Packs a vmlinux as arch/x86/boot does: setup sectors, the boot header, the payload with its unpacked size at the end.</summary>
internal static class MiniBzImage
{
    public static byte[] Pack(byte[] vmlinux, string codec)
    {
        var size = BitConverter.GetBytes(vmlinux.Length);
        byte[] payload = codec switch
        {
            "lz4" => [.. Lz4Legacy(vmlinux), .. size],
            "gzip" => Gzip(vmlinux),
            "xz" => [.. Run("xz", ["-c", "--check=crc32", "--x86", "--lzma2"], vmlinux), .. size],
            "zstd" => [.. Run("zstd", ["-cq"], vmlinux), .. size],
            "lzma" => [.. Run("xz", ["-c", "--format=lzma"], vmlinux), .. size],
            "bzip2" => [.. Run("bzip2", ["-c"], vmlinux), .. size],
            _ => throw new ArgumentException(codec),
        };
        var image = new byte[(3 * 512) + 0x2cc + payload.Length];
        image[0x1f1] = 2;
        image[0x1fe] = 0x55;
        image[0x1ff] = 0xaa;
        "HdrS"u8.CopyTo(image.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x206), 0x20f);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x20e), 0x200);
        "6.1.0-packed (nobody) #1 SMP\0"u8.CopyTo(image.AsSpan(0x400));
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x248), 0x2cc);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x24c), (uint)payload.Length);
        payload.CopyTo(image, (3 * 512) + 0x2cc);
        return image;
    }

    /// <summary>A frame of 64 KiB blocks, packed greedily by a table of what four bytes were last seen where.</summary>
    public static byte[] Lz4Legacy(byte[] bytes)
    {
        var frame = new List<byte> { 0x02, 0x21, 0x4c, 0x18 };
        for (var at = 0; at < bytes.Length; at += 1 << 16)
        {
            var block = Lz4Block(bytes.AsSpan(at, Math.Min(1 << 16, bytes.Length - at)));
            frame.AddRange(BitConverter.GetBytes(block.Length));
            frame.AddRange(block);
        }

        return [.. frame];
    }

    public static byte[] Lz4Block(ReadOnlySpan<byte> input)
    {
        var output = new List<byte>();
        var seen = new Dictionary<uint, int>();
        int at = 0, literalStart = 0;
        // The format wants the last five bytes as literals, and no match that starts in the last twelve.
        while (at < input.Length - 12)
        {
            var word = BinaryPrimitives.ReadUInt32LittleEndian(input[at..]);
            var hasMatch = seen.TryGetValue(word, out var match) && at - match < 1 << 16;
            seen[word] = at;
            if (!hasMatch)
            {
                at++;
                continue;
            }

            var length = 4;
            while (at + length < input.Length - 5 && input[match + length] == input[at + length]) length++;
            Sequence(output, input[literalStart..at], at - match, length);
            at += length;
            literalStart = at;
        }

        Sequence(output, input[literalStart..], 0, 0);
        return [.. output];
    }

    private static void Sequence(List<byte> output, ReadOnlySpan<byte> literals, int distance, int match)
    {
        var rest = match - 4;
        output.Add((byte)((Math.Min(literals.Length, 15) << 4) | (distance == 0 ? 0 : Math.Min(rest, 15))));
        Length(output, literals.Length);
        output.AddRange(literals);
        if (distance == 0) return;
        output.AddRange([(byte)distance, (byte)(distance >> 8)]);
        Length(output, rest);
    }

    private static void Length(List<byte> output, int length)
    {
        if (length < 15) return;
        for (length -= 15; length >= 255; length -= 255) output.Add(255);
        output.Add((byte)length);
    }

    private static byte[] Gzip(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var stream = new GZipStream(packed, CompressionLevel.Optimal)) stream.Write(bytes);
        return packed.ToArray();
    }

    public static byte[] Run(string program, string[] arguments, byte[] input)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var output = new MemoryStream();
        var reading = process.StandardOutput.BaseStream.CopyToAsync(output);
        process.StandardInput.BaseStream.Write(input);
        process.StandardInput.Close();
        reading.Wait();
        process.WaitForExit();
        return output.ToArray();
    }
}
