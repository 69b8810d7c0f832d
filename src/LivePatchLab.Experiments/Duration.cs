using System.Globalization;

namespace LivePatchLab.Experiments;

/// <summary>Durations as people read them.</summary>
public static class Duration
{
    /// <summary>Three digits and the unit that fits: "1.93 ms".</summary>
    public static string Show(double seconds)
    {
        var (scale, unit) = Math.Abs(seconds) switch
        {
            0 => (1.0, "s"),
            < 1e-6 => (1e9, "ns"),
            < 1e-3 => (1e6, "us"),
            < 1 => (1e3, "ms"),
            _ => (1.0, "s"),
        };
        var value = seconds * scale;
        var digits = Math.Abs(value) >= 100 ? "F0" : Math.Abs(value) >= 10 ? "F1" : "F2";
        return value.ToString(digits, CultureInfo.InvariantCulture) + " " + unit;
    }
}
