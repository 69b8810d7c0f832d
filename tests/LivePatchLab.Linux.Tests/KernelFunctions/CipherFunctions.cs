using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LivePatchLab.Linux.Tests;

/// <summary>ChaCha20 against RFC 8439, AES against FIPS 197 and .NET.</summary>
internal static class CipherFunctions
{
    public static FunctionGroup[] Groups { get; } =
    [
        new("chacha20", kernel =>
        {
            // RFC 8439, 2.3.2.
            uint[] vector = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c, 1, 0x09000000, 0x4a000000, 0];
            Block(vector)[..16].ShouldBe(Convert.FromHexString("10f1e7e4d13b5915500fdd1fa32071c4"));
            for (var i = 0; i < 5; i++) Block([.. vector[..4], .. MemoryMarshal.Cast<byte, uint>(kernel.Draw.Bytes(48))]);

            byte[] Block(uint[] state)
            {
                var (input, output) = (kernel.Buffer(MemoryMarshal.AsBytes(state.AsSpan())), kernel.Buffer(64));
                kernel.Call("chacha_block_generic", input, output, 20);
                output.ToArray<uint>().ShouldBe(ChaCha20Block(state));
                input.ToArray<uint>()[12].ShouldBe(state[12] + 1, "the counter goes on by itself");
                return output.ToArray();
            }
        }),
        new("aes", kernel =>
        {
            // FIPS 197, appendix C.1.
            Encrypt(Convert.FromHexString("000102030405060708090a0b0c0d0e0f"), Convert.FromHexString("00112233445566778899aabbccddeeff")).ShouldBe(Convert.FromHexString("69c4e0d86a7b0430d8cdb78070b4c55a"));
            foreach (var keyBytes in (int[])[16, 24, 32]) Encrypt(kernel.Draw.Bytes(keyBytes), kernel.Draw.Bytes(16));
            kernel.CallInt("aes_expandkey", kernel.Buffer(512), kernel.Buffer(17), 17).ShouldBe(-22);

            byte[] Encrypt(byte[] key, byte[] plain)
            {
                var (context, secret, back) = (kernel.Buffer(512), kernel.Buffer(16), kernel.Buffer(16));
                kernel.CallInt("aes_expandkey", context, kernel.Buffer(key), key.Length).ShouldBe(0);
                kernel.Call("aes_encrypt", context, secret, kernel.Buffer(plain));
                using var aes = Aes.Create();
                aes.Key = key;
                secret.ToArray().ShouldBe(aes.EncryptEcb(plain, PaddingMode.None));
                kernel.Call("aes_decrypt", context, back, secret);
                back.ToArray().ShouldBe(plain);
                return secret.ToArray();
            }
        }),
    ];

    private static uint[] ChaCha20Block(uint[] state)
    {
        var x = (uint[])state.Clone();
        for (var round = 0; round < 20; round++)
        {
            for (var i = 0; i < 4; i++)
            {
                var turn = round % 2;
                QuarterRound(i, 4 + ((i + turn) % 4), 8 + ((i + (2 * turn)) % 4), 12 + ((i + (3 * turn)) % 4));
            }
        }

        return [.. x.Zip(state, (a, b) => a + b)];

        void QuarterRound(int a, int b, int c, int d)
        {
            Step(a, b, d, 16);
            Step(c, d, b, 12);
            Step(a, b, d, 8);
            Step(c, d, b, 7);
        }

        void Step(int sum, int addend, int target, int bits)
        {
            x[sum] += x[addend];
            x[target] = BitOperations.RotateLeft(x[target] ^ x[sum], bits);
        }
    }
}
