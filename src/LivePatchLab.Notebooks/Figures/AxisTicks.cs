using System.Globalization;

namespace LivePatchLab.Notebooks;

/// <summary>The range of an axis, its ticks, and where on it a value lies.</summary>
internal sealed class AxisTicks
{
    private const int Wanted = 6;
    private const int DecadesMax = 8;
    private static readonly (double Factor, string Prefix)[] Prefixes =
        [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")];

    private readonly Axis _axis;
    private readonly double _step;

    public AxisTicks(Axis axis, IEnumerable<double> values, bool fromZero = false)
    {
        _axis = axis;
        var held = values.Where(axis.Holds).ToArray();
        var (least, most) = held.Length == 0 ? (1.0, 10.0) : (held.Min(), held.Max());
        if (axis.Scale == Scale.Log)
        {
            (Min, Max, Values) = Logarithmic(least, most);
            return;
        }
        if (fromZero || (least > 0 && least < most / 3))
            least = Math.Min(0, least);
        if (fromZero)
            most = Math.Max(0, most);
        if (least == most)
            (least, most) = least == 0 ? (0, 1) : (Math.Min(0, least), Math.Max(0, most));
        _step = Nice((most - least) / Wanted);
        Min = Math.Floor((least / _step) + 1e-9) * _step;
        Max = Math.Ceiling((most / _step) - 1e-9) * _step;
        var count = (int)Math.Round((Max - Min) / _step);
        Values = [.. Enumerable.Range(0, count + 1).Select(i => Min + (i * _step))];
    }

    public double Min { get; }

    public double Max { get; }

    public IReadOnlyList<double> Values { get; }

    /// <summary>From 0 at the axis's start to 1 at its end.</summary>
    public double Place(double value) => _axis.Scale == Scale.Log
        ? (Math.Log10(value) - Math.Log10(Min)) / (Math.Log10(Max) - Math.Log10(Min))
        : (value - Min) / (Max - Min);

    /// <summary>A tick's label: 10 µs, 1k, 0.5.</summary>
    public string Label(double value)
    {
        if (_axis.Scale == Scale.Log)
            return Readable(value, _axis.HasPrefixes ? _axis.Unit : "");
        // A tick that should be 0 may have come out as 1e-17; and all ticks of a linear axis wear the prefix of the largest.
        if (Math.Abs(value) < _step / 1000)
            return "0";
        var largest = Math.Max(Math.Abs(Min), Math.Abs(Max));
        // Years and small counts are read as they are.
        if (!_axis.HasPrefixes && largest < 10_000)
            return InPrefix(value, (1, ""), "");
        return InPrefix(value, PrefixFor(largest, _axis.HasPrefixes), _axis.HasPrefixes ? _axis.Unit : "");
    }

    /// <summary>A number as people say it: 3 digits and an SI prefix.</summary>
    public static string Readable(double value, string unit)
    {
        if (value == 0)
            return "0";
        var rounded = double.Parse(value.ToString("G3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return InPrefix(rounded, PrefixFor(Math.Abs(rounded), unit.Length > 0), unit);
    }

    private static string InPrefix(double value, (double Factor, string Prefix) prefix, string unit)
    {
        var number = (value / prefix.Factor).ToString("0.###", CultureInfo.InvariantCulture);
        if (number is "0" or "-0")
            number = (value / prefix.Factor).ToString("G3", CultureInfo.InvariantCulture);
        return unit.Length == 0 ? number + prefix.Prefix : $"{number} {prefix.Prefix}{unit}";
    }

    // Without a unit, "5m" would be read as five million by some: small plain numbers keep their decimals.
    private static (double Factor, string Prefix) PrefixFor(double magnitude, bool small)
    {
        foreach (var prefix in Prefixes)
        {
            if (magnitude >= prefix.Factor * 0.9999999 && (small || prefix.Factor >= 1))
                return prefix;
        }
        return small ? Prefixes[^1] : (1, "");
    }

    private static (double Min, double Max, IReadOnlyList<double> Values) Logarithmic(double least, double most)
    {
        var (first, last) = ((int)Math.Floor(Math.Log10(least) + 1e-9), (int)Math.Ceiling(Math.Log10(most) - 1e-9));
        if (first == last)
            last++;
        if (last - first > 2)
        {
            var each = 1 + ((last - first - 1) / DecadesMax);
            return (Power(first), Power(last), [.. Enumerable.Range(0, ((last - first) / each) + 1).Select(i => Power(first + (i * each)))]);
        }
        // Few decades: 1, 2, 5 in each, and the range ends at the outermost of them that are needed.
        var fine = Enumerable.Range(first, last - first + 1).SelectMany(decade => new[] { 1, 2, 5 }.Select(digit => digit * Power(decade))).ToList();
        var min = fine.Last(tick => tick <= least * 1.0000001);
        var max = fine.First(tick => tick >= most * 0.9999999 && tick > min);
        return (min, max, [.. fine.Where(tick => tick >= min && tick <= max)]);
    }

    // Parsed rather than computed: Math.Pow(10, -5) is not 1e-5 on every machine, and the drawing is compared byte by byte.
    private static double Power(int exponent) => double.Parse($"1e{exponent}", CultureInfo.InvariantCulture);

    private static double Nice(double step)
    {
        var decade = Power((int)Math.Floor(Math.Log10(step)));
        return (step / decade) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 } * decade;
    }
}
