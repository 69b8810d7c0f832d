using System.Numerics;

namespace LivePatchLab.Linux.Tests;

/// <summary>Arithmetic, bits and dates of lib/ and kernel/time against the numbers of .NET.</summary>
internal static class NumberFunctions
{
    private const int Cases = 30;

    public static FunctionGroup[] Groups { get; } =
    [
        new("int_sqrt", kernel =>
        {
            foreach (var x in (ulong[])[0, 1, 2, 15, 16, 1_000_000_000_000, 1UL << 63, ulong.MaxValue, .. Numbers(kernel)])
            {
                var root = (UInt128)kernel.Call("int_sqrt", x);
                (root * root <= x && (root + 1) * (root + 1) > x).ShouldBeTrue($"int_sqrt({x}) = {root}");
            }
        }),
        new("gcd, lcm", kernel =>
        {
            kernel.Call("gcd", 0, 5).ShouldBe(5u);
            kernel.Call("lcm", 12, 18).ShouldBe(36u);
            for (var i = 0; i < Cases; i++)
            {
                var (a, b) = (kernel.Draw.Bits64() >> kernel.Draw.Below(60), kernel.Draw.Bits64() >> kernel.Draw.Below(60));
                kernel.Call("gcd", a, b).ShouldBe((ulong)BigInteger.GreatestCommonDivisor(a, b));
                var (c, d) = (a >> 32, b >> 32);
                if (c != 0 && d != 0) kernel.Call("lcm", c, d).ShouldBe(c / (ulong)BigInteger.GreatestCommonDivisor(c, d) * d);
            }
        }),
        new("hweight", kernel =>
        {
            foreach (var x in Numbers(kernel))
            {
                kernel.Call("__sw_hweight64", x).ShouldBe((ulong)BitOperations.PopCount(x));
                kernel.Call32("__sw_hweight32", (uint)x).ShouldBe((uint)BitOperations.PopCount((uint)x));
            }
        }),
        new("int_pow", kernel =>
        {
            kernel.Call("int_pow", 3, 13).ShouldBe(1_594_323u);
            foreach (var x in Numbers(kernel))
            {
                var exponent = (uint)kernel.Draw.Below(70);
                kernel.Call("int_pow", x, exponent).ShouldBe((ulong)(BigInteger.Pow(x, (int)exponent) & ulong.MaxValue));
            }
        }),
        new("bitmaps", Bitmaps),
        new("mktime64, time64_to_tm", kernel =>
        {
            kernel.Call("mktime64", 2013, 11, 25, 10, 32, 28).ShouldBe(1_385_375_548u);
            for (var i = 0; i < Cases; i++)
            {
                var seconds = kernel.Draw.Below(int.MaxValue) * (long)(1 + kernel.Draw.Below(90));
                var time = DateTime.UnixEpoch.AddTicks(seconds * TimeSpan.TicksPerSecond);
                kernel.Call("mktime64", time.Year, time.Month, time.Day, time.Hour, time.Minute, time.Second).ShouldBe((ulong)seconds);

                // struct tm of include/linux/time.h: sec, min, hour, mday, mon, then the year as a long, wday and yday.
                var tm = kernel.Buffer(48);
                kernel.Call("time64_to_tm", seconds, 0, tm);
                tm.ToArray<int>()[..5].ShouldBe([time.Second, time.Minute, time.Hour, time.Day, time.Month - 1]);
                tm.ToArray<long>()[3].ShouldBe(time.Year - 1900);
                tm.ToArray<int>()[8..10].ShouldBe([(int)time.DayOfWeek, time.DayOfYear - 1]);
            }
        }),
    ];

    private static IEnumerable<ulong> Numbers(KernelUnderTest kernel) => Enumerable.Range(0, Cases).Select(_ => kernel.Draw.Interesting());

    private static void Bitmaps(KernelUnderTest kernel)
    {
        const int bits = 1000, bytes = 128;
        var (one, other) = (kernel.Draw.Bytes(bytes), kernel.Draw.Bytes(bytes));
        for (var i = 0; i < bytes; i++) if (kernel.Draw.OneIn(2)) (one[i], other[i]) = (0, (byte)(other[i] & 1));
        var (a, b, result) = (kernel.Buffer(one), kernel.Buffer(other), kernel.Buffer(bytes));
        int[] set = [.. Enumerable.Range(0, bits).Where(i => Has(one, i))];
        kernel.Call("_find_first_bit", a, bits).ShouldBe((ulong)set[0]);
        kernel.Call("_find_last_bit", a, bits).ShouldBe((ulong)set[^1]);
        kernel.Call("_find_first_zero_bit", a, bits).ShouldBe((ulong)Enumerable.Range(0, bits).First(i => !Has(one, i)));
        kernel.Call32("__bitmap_weight", a, bits).ShouldBe((uint)set.Length);

        var found = new List<int>();
        for (var at = kernel.Call("_find_next_bit", a, bits, 0); at < bits; at = kernel.Call("_find_next_bit", a, bits, at + 1)) found.Add((int)at);
        found.ShouldBe(set);

        kernel.Call("__bitmap_or", result, a, b, bits);
        Bits(result.ToArray()).ShouldBe(Enumerable.Range(0, bits).Where(i => Has(one, i) || Has(other, i)));
        kernel.Call("__bitmap_xor", result, a, b, bits);
        Bits(result.ToArray()).ShouldBe(Enumerable.Range(0, bits).Where(i => Has(one, i) != Has(other, i)));
        (kernel.CallInt("__bitmap_intersects", a, b, bits) != 0).ShouldBe(set.Any(i => Has(other, i)));

        var (first, count) = (kernel.Draw.Below(500), kernel.Draw.Below(500));
        kernel.Call("__bitmap_set", a, first, count);
        Bits(a.ToArray()).ShouldBe(set.Union(Enumerable.Range(first, count)).Order());

        static bool Has(byte[] map, int bit) => (map[bit / 8] >> (bit % 8) & 1) != 0;
        static IEnumerable<int> Bits(byte[] map) => Enumerable.Range(0, bits).Where(i => Has(map, i));
    }
}
