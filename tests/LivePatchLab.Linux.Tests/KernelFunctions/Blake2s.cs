using System.Numerics;

namespace LivePatchLab.Linux.Tests;

/// <summary>BLAKE2s with a digest of 32 bytes and no key, as RFC 7693 section 3 has it.</summary>
internal static class Blake2s
{
    private static readonly byte[][] Permutations =
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ];

    public static uint[] Initial { get; } = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19];

    public static byte[] Hash(byte[] bytes)
    {
        var h = (uint[])Initial.Clone();
        h[0] ^= 0x01010020;
        var blocks = Math.Max(1, (bytes.Length + 63) / 64);
        for (var block = 0; block < blocks; block++)
        {
            var input = new byte[64];
            var length = Math.Min(64, bytes.Length - (64 * block));
            bytes.AsSpan(64 * block, length).CopyTo(input);
            Compress(h, input, (64 * block) + length, isLast: block == blocks - 1);
        }

        return [.. h.SelectMany(BitConverter.GetBytes)];
    }

    private static void Compress(uint[] h, byte[] input, int bytesSoFar, bool isLast)
    {
        uint[] v = [.. h, .. Initial];
        v[12] ^= (uint)bytesSoFar;
        if (isLast) v[14] = ~v[14];
        foreach (var order in Permutations)
        {
            for (var i = 0; i < 8; i++)
            {
                // Four columns, then four diagonals.
                var turn = i / 4;
                Mix(i % 4, 4 + ((i + turn) % 4), 8 + ((i + (2 * turn)) % 4), 12 + ((i + (3 * turn)) % 4), order[2 * i], order[(2 * i) + 1]);
            }
        }

        for (var i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];

        void Mix(int a, int b, int c, int d, int x, int y)
        {
            v[a] += v[b] + BitConverter.ToUInt32(input, 4 * x);
            v[d] = BitOperations.RotateRight(v[d] ^ v[a], 16);
            v[c] += v[d];
            v[b] = BitOperations.RotateRight(v[b] ^ v[c], 12);
            v[a] += v[b] + BitConverter.ToUInt32(input, 4 * y);
            v[d] = BitOperations.RotateRight(v[d] ^ v[a], 8);
            v[c] += v[d];
            v[b] = BitOperations.RotateRight(v[b] ^ v[c], 7);
        }
    }
}
