using System.Globalization;
using System.IO.Enumeration;
using System.Net;
using System.Text;

namespace LivePatchLab.Linux.Tests;

/// <summary>The string and memory functions of lib/ against those of .NET.</summary>
internal static class StringFunctions
{
    private const int Erange = -34, Einval = -22;

    public static FunctionGroup[] Groups { get; } =
    [
        new("strlen, strcmp, strchr, strstr, …", Strings),
        new("memcmp, memcpy, memset, memmove, memchr_inv", Memory),
        new("hex2bin, kstrtoull, memparse", Numbers),
        new("glob_match", kernel =>
        {
            Matches("a*[0-9]?z", "abc7qz").ShouldBeTrue();
            Matches("a*z", "abc").ShouldBeFalse();
            Matches("[!x]*\\*", "yes*").ShouldBeTrue();
            for (var i = 0; i < 40; i++)
            {
                var (pattern, text) = (Letters(kernel, "ab*?", 6), Letters(kernel, "ab", 8));
                Matches(pattern, text).ShouldBe(FileSystemName.MatchesSimpleExpression(pattern, text, ignoreCase: false), $"{pattern} on {text}");
            }

            bool Matches(string pattern, string text) => (byte)kernel.Call("glob_match", kernel.Text(pattern), kernel.Text(text)) != 0;
        }),
        new("in4_pton, in6_pton", kernel =>
        {
            for (var i = 0; i < 20; i++)
            {
                Reads("in4_pton", new IPAddress(kernel.Draw.Bytes(4)));
                var bytes = kernel.Draw.Bytes(16);
                var zeros = kernel.Draw.Below(8);
                bytes.AsSpan(2 * zeros, 2 * kernel.Draw.Below(8 - zeros)).Clear();
                Reads("in6_pton", new IPAddress(bytes));
            }

            kernel.CallInt("in4_pton", kernel.Text("192.168.10.256"), -1, kernel.Buffer(16), -1, 0).ShouldBe(0);
            kernel.CallInt("in6_pton", kernel.Text("2001:db8:::1"), -1, kernel.Buffer(16), -1, 0).ShouldBe(0);

            void Reads(string function, IPAddress address)
            {
                var result = kernel.Buffer(16);
                kernel.CallInt(function, kernel.Text(address.ToString()), -1, result, -1, 0).ShouldBe(1, $"{address}");
                result.ToArray().ShouldBe([.. address.GetAddressBytes(), .. new byte[16 - address.GetAddressBytes().Length]], $"{address}");
            }
        }),
    ];

    private static string Letters(KernelUnderTest kernel, string alphabet, int lengthMax)
        => string.Concat(Enumerable.Range(0, 1 + kernel.Draw.Below(lengthMax)).Select(_ => alphabet[kernel.Draw.Below(alphabet.Length)]));

    private static void Strings(KernelUnderTest kernel)
    {
        kernel.Call("strlen", kernel.Text("")).ShouldBe(0u);
        for (var i = 0; i < 20; i++)
        {
            var (one, other) = (Letters(kernel, "abc", 40), Letters(kernel, "abc", 4));
            if (kernel.Draw.OneIn(3)) other = one[..kernel.Draw.Below(one.Length)] + other;
            var (a, b) = (kernel.Text(one), kernel.Text(other));
            var letter = "abcd"[kernel.Draw.Below(4)];
            var count = kernel.Draw.Below(20);
            kernel.Call("strlen", a).ShouldBe((ulong)one.Length);
            kernel.Call("strnlen", a, count).ShouldBe((ulong)Math.Min(one.Length, count));
            Math.Sign(kernel.CallInt("strcmp", a, b)).ShouldBe(Math.Sign(string.CompareOrdinal(one, other)), $"{one} {other}");
            Math.Sign(kernel.CallInt("strncmp", a, b, count)).ShouldBe(Math.Sign(string.CompareOrdinal(one, 0, other, 0, count)), $"{one} {other} {count}");
            Index(kernel.Call("strchr", a, letter)).ShouldBe(one.IndexOf(letter));
            Index(kernel.Call("strrchr", a, letter)).ShouldBe(one.LastIndexOf(letter));
            Index(kernel.Call("strstr", a, b)).ShouldBe(one.IndexOf(other, StringComparison.Ordinal));

            int Index(ulong address) => address == 0 ? -1 : (int)(address - a.Address.Value);
        }
    }

    private static void Memory(KernelUnderTest kernel)
    {
        const int length = 4096;
        var bytes = kernel.Draw.Bytes(length);
        var (source, target) = (kernel.Buffer(bytes), kernel.Buffer(length));
        var expected = new byte[length];
        foreach (var count in (int[])[0, 1, 7, 8, 9, 31, 33, 63, 64, 65, 1001, kernel.Draw.Below(2000)])
        {
            var (from, to) = (kernel.Draw.Below(64), kernel.Draw.Below(64));
            kernel.Call("memcpy", target + to, source + from, count).ShouldBe((target + to).Value);
            bytes.AsSpan(from, count).CopyTo(expected.AsSpan(to));
            target.ToArray().ShouldBe(expected);

            kernel.Call("memset", target + from, 0x15a, count);
            expected.AsSpan(from, count).Fill(0x5a);
            target.ToArray().ShouldBe(expected);

            // Overlapping, upwards and downwards.
            var by = kernel.Draw.Below(100) - 50;
            kernel.Call("memmove", target + (100 + by), target + 100, count);
            expected.AsSpan(100, count).CopyTo(expected.AsSpan(100 + by));
            target.ToArray().ShouldBe(expected);

            var changed = count == 0 ? 0 : kernel.Draw.Below(count);
            var twin = bytes[..(count + 1)];
            twin[changed] ^= (byte)(1 << kernel.Draw.Below(8));
            Math.Sign(kernel.CallInt("memcmp", source, kernel.Buffer(twin), count)).ShouldBe(Math.Sign(bytes.AsSpan(0, count).SequenceCompareTo(twin.AsSpan(0, count))));

            var same = new byte[count + 16];
            Array.Fill(same, (byte)0x77);
            if (count > 0) same[changed] = 0x76;
            var filled = kernel.Buffer(same);
            kernel.Call("memchr_inv", filled, 0x77, count).ShouldBe(count > 0 ? (filled + changed).Value : 0);
        }
    }

    private static void Numbers(KernelUnderTest kernel)
    {
        var result = kernel.Buffer(64);
        kernel.CallInt("hex2bin", result, kernel.Text("deadBEEF"), 4).ShouldBe(0);
        result.ToArray()[..4].ShouldBe([0xde, 0xad, 0xbe, 0xef]);
        kernel.CallInt("hex2bin", result, kernel.Text("dexd"), 2).ShouldBe(Einval);
        kernel.CallInt("kstrtoull", kernel.Text("99999999999999999999999"), 10, result).ShouldBe(Erange);
        kernel.CallInt("kstrtoull", kernel.Text("12x"), 10, result).ShouldBe(Einval);
        kernel.Call("memparse", kernel.Text("64M"), 0).ShouldBe(64UL << 20);
        for (var i = 0; i < 20; i++)
        {
            var bytes = kernel.Draw.Bytes(1 + kernel.Draw.Below(32));
            var hex = Convert.ToHexString(bytes);
            kernel.CallInt("hex2bin", result, kernel.Text(kernel.Draw.OneIn(2) ? hex : hex.ToLowerInvariant()), bytes.Length).ShouldBe(0);
            result.ToArray()[..bytes.Length].ShouldBe(bytes);

            var number = kernel.Draw.Interesting();
            var (text, numberBase) = kernel.Draw.Of(
                (number.ToString(CultureInfo.InvariantCulture), 10),
                ($"0x{number:x}\n", 0),
                ("0" + Convert.ToString((long)number, 8), 0),
                (number.ToString("X", CultureInfo.InvariantCulture), 16));
            kernel.CallInt("kstrtoull", kernel.Text(text), numberBase, result).ShouldBe(0, text);
            result.ToArray<ulong>()[0].ShouldBe(number, text);

            var (letter, shift) = kernel.Draw.Of(("", 0), ("K", 10), ("m", 20), ("G", 30), ("t", 40));
            var small = (ulong)kernel.Draw.Below(1 << 20);
            var end = kernel.Buffer(8);
            var input = kernel.Buffer(Encoding.ASCII.GetBytes($"{small}{letter},rest\0"));
            kernel.Call("memparse", input, end).ShouldBe(small << shift);
            kernel.Read(new(end.ToArray<ulong>()[0]), 5).ShouldBe(",rest"u8.ToArray());
        }
    }
}
