namespace LivePatchLab.Notebooks;

public enum Scale { Linear, Log }

/// <summary>One axis. A unit of the SI ("s", "B", "Hz", …) is written with its prefixes at the ticks, any other in the title.</summary>
public sealed record Axis(string Title, string Unit = "", Scale Scale = Scale.Linear)
{
    private static readonly string[] Prefixed = ["s", "B", "Hz", "IPS", "B/s", "1/s"];

    public bool HasPrefixes => Prefixed.Contains(Unit, StringComparer.Ordinal);

    public string FullTitle => Unit.Length == 0 || HasPrefixes ? Title : $"{Title} ({Unit})";

    /// <summary>Whether a value has a place on this axis.</summary>
    public bool Holds(double value) => double.IsFinite(value) && (Scale == Scale.Linear || value > 0);
}

/// <summary>One series of a figure.</summary>
public abstract record Trace(string Name);

/// <summary>Points, joined by a line or not.</summary>
public sealed record PointTrace(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y) : Trace(Name)
{
    public bool Joined { get; init; } = true;

    /// <summary>Lower and upper ends of a bar at each point (a range of seeds, a confidence interval); both or neither.</summary>
    public IReadOnlyList<double>? Low { get; init; }

    public IReadOnlyList<double>? High { get; init; }
}

/// <summary>Bars over categories.</summary>
public sealed record BarTrace(string Name, IReadOnlyList<string> Categories, IReadOnlyList<double> Y) : Trace(Name)
{
    /// <summary>The categories are bins of a histogram: an empty one is no news and gets no label.</summary>
    public bool IsHistogram { get; init; }
}

/// <summary>Values over two sets of categories: <c>Values[row][column]</c>.</summary>
public sealed record HeatmapTrace(string Name, IReadOnlyList<string> Columns, IReadOnlyList<string> Rows, IReadOnlyList<IReadOnlyList<double>> Values) : Trace(Name);
