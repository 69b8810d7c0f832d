using System.Buffers.Binary;

namespace LivePatchLab.Linux.Tests;

/// <summary>The CRCs of lib/ against one bit-by-bit CRC with their parameters; check values from the catalogue of parametrised CRC algorithms.</summary>
internal static class ChecksumFunctions
{
    private static readonly byte[] Digits = "123456789"u8.ToArray();

    public static FunctionGroup[] Groups { get; } =
    [
        new("crc32_le", kernel =>
        {
            (~kernel.Call32("crc32_le", uint.MaxValue, kernel.Buffer(Digits), 9)).ShouldBe(0xcbf43926u);
            EachSlice(kernel, (at, bytes, start) => kernel.Call32("crc32_le", start, at, bytes.Length).ShouldBe(Reflected(32, 0xedb88320, start, bytes)));
        }),
        new("crc32_be", kernel =>
        {
            kernel.Call32("crc32_be", uint.MaxValue, kernel.Buffer(Digits), 9).ShouldBe(~0xfc891918u);
            EachSlice(kernel, (at, bytes, start) => kernel.Call32("crc32_be", start, at, bytes.Length).ShouldBe(Forward(32, 0x04c11db7, start, bytes)));
        }),
        new("crc32c", kernel =>
        {
            (~kernel.Call32("__crc32c_le", uint.MaxValue, kernel.Buffer(Digits), 9)).ShouldBe(0xe3069283u);
            EachSlice(kernel, (at, bytes, start) => kernel.Call32("__crc32c_le", start, at, bytes.Length).ShouldBe(Reflected(32, 0x82f63b78, start, bytes)));
        }),
        new("crc16, crc_ccitt, crc_t10dif", kernel =>
        {
            var digits = kernel.Buffer(Digits);
            ((ushort)kernel.Call("crc16", 0, digits, 9)).ShouldBe((ushort)0xbb3d);
            ((ushort)kernel.Call("crc_ccitt", 0xffff, digits, 9)).ShouldBe((ushort)0x6f91);
            ((ushort)kernel.Call("crc_t10dif_generic", 0, digits, 9)).ShouldBe((ushort)0xd0db);
            EachSlice(kernel, (at, bytes, start) =>
            {
                var seed = (ushort)start;
                ((uint)(ushort)kernel.Call("crc16", seed, at, bytes.Length)).ShouldBe(Reflected(16, 0xa001, seed, bytes));
                ((uint)(ushort)kernel.Call("crc_ccitt", seed, at, bytes.Length)).ShouldBe(Reflected(16, 0x8408, seed, bytes));
                ((uint)(ushort)kernel.Call("crc_t10dif_generic", seed, at, bytes.Length)).ShouldBe(Forward(16, 0x8bb7, seed, bytes));
            });
        }),
        new("ip_compute_csum", kernel => EachSlice(kernel, (at, bytes, _) => ((ushort)kernel.Call("ip_compute_csum", at, bytes.Length)).ShouldBe(InternetChecksum(bytes)))),
    ];

    /// <summary>Pieces of random bytes, some of them empty, short, or at odd addresses, with a random start value each.</summary>
    private static void EachSlice(KernelUnderTest kernel, Action<LivePatchLab.Machine.GuestAddress, byte[], uint> check)
    {
        var bytes = kernel.Draw.Bytes(4096);
        var buffer = kernel.Buffer(bytes);
        foreach (var (at, length) in ((int, int)[])[(0, 4096), (1, 77), (3, 1), (8, 0), (7, 1000), (kernel.Draw.Below(64), kernel.Draw.Below(2000)), (kernel.Draw.Below(64), kernel.Draw.Below(64))])
            check(buffer + at, bytes[at..Math.Min(4096, at + length)], (uint)kernel.Draw.Bits64());
    }

    private static uint Reflected(int bits, uint polynomial, uint crc, byte[] bytes)
    {
        foreach (var each in bytes)
        {
            crc ^= each;
            for (var i = 0; i < 8; i++) crc = (crc & 1) != 0 ? (crc >> 1) ^ polynomial : crc >> 1;
        }

        return bits == 32 ? crc : crc & 0xffff;
    }

    private static uint Forward(int bits, uint polynomial, uint crc, byte[] bytes)
    {
        var top = 1u << (bits - 1);
        foreach (var each in bytes)
        {
            crc ^= (uint)each << (bits - 8);
            for (var i = 0; i < 8; i++) crc = (crc & top) != 0 ? (crc << 1) ^ polynomial : crc << 1;
        }

        return bits == 32 ? crc : crc & 0xffff;
    }

    /// <summary>RFC 1071, as the little-endian machine stores it: words in memory order, an odd byte padded with zero.</summary>
    private static ushort InternetChecksum(byte[] bytes)
    {
        byte[] even = bytes.Length % 2 == 0 ? bytes : [.. bytes, 0];
        var sum = 0UL;
        for (var at = 0; at < even.Length; at += 2) sum += BinaryPrimitives.ReadUInt16LittleEndian(even.AsSpan(at));
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)~sum;
    }
}
