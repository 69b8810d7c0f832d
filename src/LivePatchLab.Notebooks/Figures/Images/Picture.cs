using System.Globalization;
using System.Text.Json.Nodes;
using System.Xml.Linq;

namespace LivePatchLab.Notebooks;

/// <summary>What an image of an output is drawn from. It travels with the output's bundle and is not written into the notebook.</summary>
/// <param name="Svg">A drawing with its width and height in pixels.</param>
/// <param name="Alt">The same in words.</param>
public sealed record Picture(string Svg, string Alt)
{
    private readonly Lazy<(double Width, double Height)> _size = new(() => SizeOf(Svg));

    public double Width => _size.Value.Width;

    public double Height => _size.Value.Height;

    /// <summary>
    /// What goes beside the image into an output's metadata: its size on the page, as Jupyter's message specification has it, since the image has more
    /// pixels than that; and the words for those who do not see it, where nbconvert looks for them (jupyter/nbconvert #1112).
    /// </summary>
    public JsonObject Metadata() => new() { [MimeBundle.Png] = new JsonObject { ["alt"] = Alt, ["width"] = (int)Width, ["height"] = (int)Height } };

    public bool Equals(Picture? other) => other is not null && Svg == other.Svg && Alt == other.Alt;

    public override int GetHashCode() => HashCode.Combine(Svg, Alt);

    private static (double Width, double Height) SizeOf(string svg)
    {
        var root = XElement.Parse(svg);
        return (Number("width"), Number("height"));

        double Number(string name) => double.Parse(root.Attribute(name)?.Value ?? throw new FormatException($"the drawing has no {name}"), CultureInfo.InvariantCulture);
    }
}

/// <summary>A view that has a picture.</summary>
public interface IPictured
{
    /// <summary>What an image of it is drawn from; null where there is nothing to draw.</summary>
    Picture? Picture { get; }
}
