using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LivePatchLab.Linux.Tests;

/// <summary>The hashes of lib/ against those of .NET, or where it has none against the algorithm written down as its authors have it.</summary>
internal static class HashFunctions
{
    public static FunctionGroup[] Groups { get; } =
    [
        new("siphash", kernel =>
        {
            // The vector of appendix A of "SipHash: a fast short-input PRF" (Aumasson, Bernstein, 2012).
            var counting = Enumerable.Range(0, 16).Select(i => (byte)i).ToArray();
            kernel.Call("__siphash_unaligned", kernel.Buffer(counting[..15]), 15, kernel.Buffer(counting)).ShouldBe(0xa129ca6149be45e5);
            for (var i = 0; i < 10; i++)
            {
                var (key, words) = (kernel.Draw.Bytes(16), kernel.Draw.Bytes(24));
                var (at, w) = (kernel.Buffer(key), MemoryMarshal.Cast<byte, ulong>(words).ToArray());
                kernel.Call("siphash_1u64", w[0], at).ShouldBe(SipHash(key, words[..8]));
                kernel.Call("siphash_2u64", w[0], w[1], at).ShouldBe(SipHash(key, words[..16]));
                kernel.Call("siphash_3u64", w[0], w[1], w[2], at).ShouldBe(SipHash(key, words));
                var bytes = kernel.Draw.Bytes(kernel.Draw.Below(70));
                kernel.Call("__siphash_unaligned", kernel.Buffer(bytes), bytes.Length, at).ShouldBe(SipHash(key, bytes));
            }
        }),
        new("sha256", kernel => EachLength(kernel, bytes =>
        {
            var digest = kernel.Buffer(32);
            kernel.Call("sha256", kernel.Buffer(bytes), bytes.Length, digest);
            digest.ToArray().ShouldBe(SHA256.HashData(bytes));
        })),
        new("sha1_transform", kernel => EachLength(kernel, bytes =>
        {
            uint[] state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
            var digest = kernel.Buffer(MemoryMarshal.AsBytes(state.AsSpan()));
            var (padded, workspace) = (kernel.Buffer(PaddedForSha(bytes)), kernel.Buffer(64));
            for (var at = 0; at < padded.Length; at += 64) kernel.Call("sha1_transform", digest, padded + at, workspace);
            var result = digest.ToArray<uint>().SelectMany(word => BitConverter.GetBytes(BinaryPrimitives.ReverseEndianness(word))).ToArray();
            result.ShouldBe(SHA1.HashData(bytes));
        })),
        new("xxh64, xxh32", kernel =>
        {
            var abc = kernel.Buffer("abc"u8);
            kernel.Call("xxh64", abc, 0, 0).ShouldBe(0xef46db3751d8e999);
            kernel.Call("xxh64", abc, 3, 0).ShouldBe(0x44bc2cf5ad770999UL);
            kernel.Call32("xxh32", abc, 3, 0).ShouldBe(0x32d153ffu);
            EachLength(kernel, bytes =>
            {
                var seed = kernel.Draw.Bits64();
                kernel.Call("xxh64", kernel.Buffer(bytes), bytes.Length, seed).ShouldBe(XxHash64(bytes, seed));
                kernel.Call32("xxh32", kernel.Buffer(bytes), bytes.Length, (uint)seed).ShouldBe(XxHash32(bytes, (uint)seed));
            });
        }),
        new("blake2s", kernel => EachLength(kernel, bytes =>
        {
            // struct blake2s_state of include/crypto/blake2s.h: h[8], t[2], f[2], buf[64], buflen, outlen; its first word takes the parameters.
            var initial = (uint[])Blake2s.Initial.Clone();
            initial[0] ^= 0x01010020;
            var state = kernel.Buffer([.. MemoryMarshal.AsBytes(initial.AsSpan()), .. new byte[16 + 64 + 4], 32, 0, 0, 0]);
            var cut = kernel.Draw.Below(bytes.Length + 1);
            var (input, digest) = (kernel.Buffer(bytes), kernel.Buffer(32));
            kernel.Call("blake2s_update", state, input, cut);
            kernel.Call("blake2s_update", state, input + cut, bytes.Length - cut);
            kernel.Call("blake2s_final", state, digest);
            digest.ToArray().ShouldBe(Blake2s.Hash(bytes));
        })),
    ];

    /// <summary>"abc", and random bytes of lengths around those at which a block is full.</summary>
    private static void EachLength(KernelUnderTest kernel, Action<byte[]> check)
    {
        check("abc"u8.ToArray());
        foreach (var length in (int[])[0, 1, 31, 32, 33, 55, 56, 63, 64, 65, 128, kernel.Draw.Below(1000), kernel.Draw.Below(4000)]) check(kernel.Draw.Bytes(length));
    }

    private static byte[] PaddedForSha(byte[] bytes)
    {
        var padded = new byte[(bytes.Length + 9 + 63) / 64 * 64];
        bytes.CopyTo(padded, 0);
        padded[bytes.Length] = 0x80;
        BinaryPrimitives.WriteUInt64BigEndian(padded.AsSpan(padded.Length - 8), (ulong)bytes.Length * 8);
        return padded;
    }

    /// <summary>SipHash-2-4.</summary>
    private static ulong SipHash(byte[] key, byte[] bytes)
    {
        var (k0, k1) = (BitConverter.ToUInt64(key), BitConverter.ToUInt64(key, 8));
        ulong v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d, v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
        byte[] padded = [.. bytes, .. new byte[7 - (bytes.Length % 8)], (byte)bytes.Length];
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(padded))
        {
            v3 ^= word;
            Rounds(2);
            v0 ^= word;
        }

        v2 ^= 0xff;
        Rounds(4);
        return v0 ^ v1 ^ v2 ^ v3;

        void Rounds(int count)
        {
            for (var i = 0; i < count; i++)
            {
                (v0, v2) = (v0 + v1, v2 + v3);
                (v1, v3) = (BitOperations.RotateLeft(v1, 13) ^ v0, BitOperations.RotateLeft(v3, 16) ^ v2);
                (v2, v0) = (v2 + v1, BitOperations.RotateLeft(v0, 32) + v3);
                (v1, v3) = (BitOperations.RotateLeft(v1, 17) ^ v2, BitOperations.RotateLeft(v3, 21) ^ v0);
                v2 = BitOperations.RotateLeft(v2, 32);
            }
        }
    }

    /// <summary>"XXH64 algorithm description" of the xxHash specification 0.1.1.</summary>
    private static ulong XxHash64(ReadOnlySpan<byte> bytes, ulong seed)
    {
        const ulong p1 = 0x9E3779B185EBCA87, p2 = 0xC2B2AE3D27D4EB4F, p3 = 0x165667B19E3779F9, p4 = 0x85EBCA77C2B2AE63, p5 = 0x27D4EB2F165667C5;
        var hash = seed + p5;
        var rest = bytes;
        if (bytes.Length >= 32)
        {
            ulong[] lanes = [seed + p1 + p2, seed + p2, seed, seed - p1];
            for (; rest.Length >= 32; rest = rest[32..])
                for (var i = 0; i < 4; i++) lanes[i] = Round(lanes[i], BitConverter.ToUInt64(rest[(8 * i)..]));
            hash = BitOperations.RotateLeft(lanes[0], 1) + BitOperations.RotateLeft(lanes[1], 7) + BitOperations.RotateLeft(lanes[2], 12) + BitOperations.RotateLeft(lanes[3], 18);
            foreach (var lane in lanes) hash = ((hash ^ Round(0, lane)) * p1) + p4;
        }

        hash += (ulong)bytes.Length;
        for (; rest.Length >= 8; rest = rest[8..]) hash = (BitOperations.RotateLeft(hash ^ Round(0, BitConverter.ToUInt64(rest)), 27) * p1) + p4;
        for (; rest.Length >= 4; rest = rest[4..]) hash = (BitOperations.RotateLeft(hash ^ (BitConverter.ToUInt32(rest) * p1), 23) * p2) + p3;
        foreach (var each in rest) hash = BitOperations.RotateLeft(hash ^ (each * p5), 11) * p1;
        hash = (hash ^ (hash >> 33)) * p2;
        hash = (hash ^ (hash >> 29)) * p3;
        return hash ^ (hash >> 32);

        static ulong Round(ulong lane, ulong input) => BitOperations.RotateLeft(lane + (input * p2), 31) * p1;
    }

    private static uint XxHash32(ReadOnlySpan<byte> bytes, uint seed)
    {
        const uint p1 = 0x9E3779B1, p2 = 0x85EBCA77, p3 = 0xC2B2AE3D, p4 = 0x27D4EB2F, p5 = 0x165667B1;
        var hash = seed + p5;
        var rest = bytes;
        if (bytes.Length >= 16)
        {
            uint[] lanes = [seed + p1 + p2, seed + p2, seed, seed - p1];
            for (; rest.Length >= 16; rest = rest[16..])
                for (var i = 0; i < 4; i++) lanes[i] = BitOperations.RotateLeft(lanes[i] + (BitConverter.ToUInt32(rest[(4 * i)..]) * p2), 13) * p1;
            hash = BitOperations.RotateLeft(lanes[0], 1) + BitOperations.RotateLeft(lanes[1], 7) + BitOperations.RotateLeft(lanes[2], 12) + BitOperations.RotateLeft(lanes[3], 18);
        }

        hash += (uint)bytes.Length;
        for (; rest.Length >= 4; rest = rest[4..]) hash = BitOperations.RotateLeft(hash + (BitConverter.ToUInt32(rest) * p3), 17) * p4;
        foreach (var each in rest) hash = BitOperations.RotateLeft(hash + (each * p5), 11) * p1;
        hash = (hash ^ (hash >> 15)) * p2;
        hash = (hash ^ (hash >> 13)) * p3;
        return hash ^ (hash >> 16);
    }
}
