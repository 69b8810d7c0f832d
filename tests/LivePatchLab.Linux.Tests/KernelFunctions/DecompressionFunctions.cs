using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace LivePatchLab.Linux.Tests;

/// <summary>What the kernel unpacks must be what was packed: by .NET, by the tests' own packers, or by a program of the computer's.</summary>
internal static class DecompressionFunctions
{
    private const int OutputBytes = 32 << 10;

    /// <summary>What "zstd -19" makes of <see cref="ZstdText"/>, for where there is no zstd.</summary>
    private const string ZstdFrame = "28b52ffd0468d5020012840d11a0ed40c8df360341480bbf6db1de7f5503177fb87f948841891c334c11c59ca441c46fb08ec275f094cfcb625d0f6f732e7a2cab1016a810a0bbfe779033560710ce0513bf1f1cf3b6ca54f31176a29404a74ca4b5144325c055";

    public static FunctionGroup[] Groups { get; } =
    [
        new("LZ4_decompress_safe", kernel =>
        {
            foreach (var plain in Inputs(kernel))
            {
                var packed = MiniBzImage.Lz4Block(plain);
                var output = kernel.Buffer(OutputBytes);
                kernel.CallInt("LZ4_decompress_safe", kernel.Buffer(packed), output, packed.Length, OutputBytes).ShouldBe(plain.Length);
                output.ToArray()[..plain.Length].ShouldBe(plain);
                kernel.CallInt("LZ4_decompress_safe", kernel.Buffer(packed), output, packed.Length, plain.Length - 1).ShouldBeLessThan(0, "there is no room for the last byte");
            }
        }),
        new("lzo1x_decompress_safe", kernel =>
        {
            foreach (var plain in Inputs(kernel))
            {
                var packed = LzoPacked(plain);
                var (output, length) = (kernel.Buffer(OutputBytes), kernel.Buffer(BitConverter.GetBytes((ulong)OutputBytes)));
                kernel.CallInt("lzo1x_decompress_safe", kernel.Buffer(packed), packed.Length, output, length).ShouldBe(0);
                output.ToArray()[..(int)length.ToArray<ulong>()[0]].ShouldBe(plain);
            }
        }),
        new("zlib_inflate", kernel =>
        {
            foreach (var plain in Inputs(kernel))
            {
                var packed = Packed(plain);
                Inflate(kernel, packed, out var output).ShouldBe(1, "Z_STREAM_END");
                output.ShouldBe(plain);
                packed[^1] ^= 1;
                Inflate(kernel, packed, out _).ShouldBe(-3, "Z_DATA_ERROR: its Adler-32 is wrong");
            }
        }),
        new("zstd_decompress_dctx", kernel =>
        {
            Unpack(Convert.FromHexString(ZstdFrame)).ShouldBe(Encoding.ASCII.GetBytes(ZstdText()));
            if (!HostTools.HasProgram("zstd")) return;
            foreach (var plain in Inputs(kernel)) Unpack(MiniBzImage.Run("zstd", ["-cq", $"-{1 + kernel.Draw.Below(19)}"], plain)).ShouldBe(plain);

            byte[] Unpack(byte[] packed)
            {
                var workspaceBytes = (int)kernel.Call("zstd_dctx_workspace_bound");
                var context = kernel.Call("zstd_init_dctx", kernel.Buffer(workspaceBytes), workspaceBytes);
                var output = kernel.Buffer(OutputBytes);
                var length = (long)kernel.Call("zstd_decompress_dctx", context, output, OutputBytes, kernel.Buffer(packed), packed.Length);
                length.ShouldBeInRange(0, OutputBytes);
                return output.ToArray()[..(int)length];
            }
        }),
    ];

    /// <summary>Random bytes, text that repeats, and both by turns.</summary>
    private static IEnumerable<byte[]> Inputs(KernelUnderTest kernel)
    {
        yield return kernel.Draw.Bytes(100 + kernel.Draw.Below(3000));
        yield return Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("the quick brown fox jumps over the lazy dog. ", 200)));
        yield return [.. Enumerable.Range(0, 20).SelectMany(i => kernel.Draw.OneIn(2) ? kernel.Draw.Bytes(kernel.Draw.Below(200)) : Encoding.ASCII.GetBytes(new string((char)('a' + i), 200 + kernel.Draw.Below(300)))), 1];
    }

    private static string ZstdText() => string.Concat(Enumerable.Range(0, 12).Select(i => string.Create(CultureInfo.InvariantCulture, $"{i}: P3 needs 3 syncs for {i * i} sites. ")));

    private static byte[] Packed(byte[] plain)
    {
        var packed = new MemoryStream();
        using (var stream = new ZLibStream(packed, CompressionLevel.SmallestSize)) stream.Write(plain);
        return packed.ToArray();
    }

    /// <summary>struct z_stream_s of include/linux/zlib.h: next_in, avail_in, total_in, next_out, avail_out, total_out, msg, state, workspace, …</summary>
    private static int Inflate(KernelUnderTest kernel, byte[] packed, out byte[] plain)
    {
        const int totalOut = 5, finish = 4, windowBits = 15;
        var output = kernel.Buffer(OutputBytes);
        var workspace = kernel.Buffer(kernel.CallInt("zlib_inflate_workspacesize"));
        ulong[] fields = [kernel.Buffer(packed).Address.Value, (ulong)packed.Length, 0, output.Address.Value, OutputBytes, 0, 0, 0, workspace.Address.Value, 0, 0, 0];
        var stream = kernel.Buffer(MemoryMarshal.AsBytes(fields.AsSpan()));
        kernel.CallInt("zlib_inflateInit2", stream, windowBits).ShouldBe(0);
        var result = kernel.CallInt("zlib_inflate", stream, finish);
        plain = output.ToArray()[..(int)stream.ToArray<ulong>()[totalOut]];
        return result;
    }

    /// <summary>
    /// Literals (the form 0000LLLL, four at least) and repetitions of the byte before (001LLLLL, three at least), by turns; 11 00 00 ends
    /// it (Documentation/staging/lzo.rst, "Byte sequences").
    /// </summary>
    private static byte[] LzoPacked(byte[] plain)
    {
        const int literalsMin = 4, matchMin = 3, matchMax = 33;
        var packed = new List<byte>();
        for (var at = 0; at < plain.Length;)
        {
            var end = at + literalsMin;
            while (end < plain.Length && MatchAt(end) < matchMin) end++;
            AddLiteralLength(end - at);
            packed.AddRange(plain[at..end]);
            at = end;
            if (at == plain.Length) break;
            var match = MatchAt(at);
            packed.AddRange([(byte)(0x20 | (match - 2)), 0, 0]);
            at += match;
        }

        packed.AddRange([0x11, 0, 0]);
        return [.. packed];

        void AddLiteralLength(int length)
        {
            const int shortMax = 18;
            if (length <= shortMax)
            {
                packed.Add((byte)(length - 3));
                return;
            }

            packed.Add(0);
            for (length -= shortMax; length > 255; length -= 255) packed.Add(0);
            packed.Add((byte)length);
        }

        // Behind a match there is nothing, or enough for literals.
        int MatchAt(int from)
        {
            var length = 0;
            while (length < matchMax && from + length < plain.Length && plain[from + length] == plain[from - 1]) length++;
            var rest = plain.Length - (from + length);
            return rest is > 0 and < literalsMin ? length - (literalsMin - rest) : length;
        }
    }
}
