using System.Globalization;

namespace LivePatchLab.Notebooks;

/// <summary>How series are told apart: by Okabe and Ito's colours, and for grey print by marker and dash as well.</summary>
internal static class TraceStyle
{
    /// <summary>Black is left out, because it cannot be seen on a dark page, and yellow stands last, because it is faint on a white one.</summary>
    public static readonly string[] Colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"];

    public static readonly string[] Symbols = ["circle", "square", "triangle-up", "diamond", "x", "cross", "triangle-down"];

    private static readonly string[] Dashes = ["", "8 4", "2 3", "10 3 2 3", "14 4", "5 2"];

    public static string Colour(int series) => Colours[series % Colours.Length];

    public static string Symbol(int series) => Symbols[series % Symbols.Length];

    public static string Dash(int series) => Dashes[series % Dashes.Length];

    public static string PlotlyDash(int series) => Dash(series) is { Length: > 0 } dash ? string.Join(',', dash.Split(' ').Select(length => length + "px")) : "solid";

    public static string Marker(int series, double x, double y)
    {
        var colour = Colour(series);
        string At(double dx, double dy) => string.Create(CultureInfo.InvariantCulture, $"{x + dx:0.##},{y + dy:0.##}");
        return Symbol(series) switch
        {
            "circle" => string.Create(CultureInfo.InvariantCulture, $"<circle cx=\"{x:0.##}\" cy=\"{y:0.##}\" r=\"4\" fill=\"{colour}\"/>"),
            "square" => $"<path d=\"M{At(-4, -4)}L{At(4, -4)}L{At(4, 4)}L{At(-4, 4)}Z\" fill=\"{colour}\"/>",
            "triangle-up" => $"<path d=\"M{At(0, -5)}L{At(5, 4)}L{At(-5, 4)}Z\" fill=\"{colour}\"/>",
            "triangle-down" => $"<path d=\"M{At(0, 5)}L{At(5, -4)}L{At(-5, -4)}Z\" fill=\"{colour}\"/>",
            "diamond" => $"<path d=\"M{At(0, -5.5)}L{At(5.5, 0)}L{At(0, 5.5)}L{At(-5.5, 0)}Z\" fill=\"{colour}\"/>",
            "x" => $"<path d=\"M{At(-4, -4)}L{At(4, 4)}M{At(-4, 4)}L{At(4, -4)}\" stroke=\"{colour}\" stroke-width=\"2.5\" fill=\"none\"/>",
            _ => $"<path d=\"M{At(0, -5)}L{At(0, 5)}M{At(-5, 0)}L{At(5, 0)}\" stroke=\"{colour}\" stroke-width=\"2.5\" fill=\"none\"/>",
        };
    }
}
