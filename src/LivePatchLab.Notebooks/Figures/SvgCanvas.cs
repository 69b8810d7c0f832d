using System.Globalization;
using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A drawing in the making. Only presentation attributes, no style sheet, script, id or clip path: what sanitisers and old converters strip is not used. Text is never
/// measured, since that would need fonts; its width is taken from above, per character.
/// </summary>
internal sealed class SvgCanvas
{
    public const double Width = 800;

    /// <summary>The width of a character of 12 pixels, from above.</summary>
    public const double CharacterWidth = 6.7;

    private readonly StringBuilder _svg = new();

    public void Append(string markup) => _svg.Append(markup);

    public void Line(double x1, double y1, double x2, double y2, string attributes)
        => _svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x1:0.##}\" y1=\"{y1:0.##}\" x2=\"{x2:0.##}\" y2=\"{y2:0.##}\" {attributes}/>");

    public void Rectangle(double x, double y, double width, double height, string attributes)
        => _svg.Append(CultureInfo.InvariantCulture, $"<rect x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\" height=\"{height:0.##}\" {attributes}/>");

    public void Text(double x, double y, string text, string attributes = "")
        => _svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:0.##}\" y=\"{y:0.##}\" {attributes}>{HtmlText.Escape(text)}</text>");

    public void Title(string title) => Text(Width / 2, 22, title, "text-anchor=\"middle\" font-size=\"15\" font-weight=\"600\"");

    /// <summary>The whole drawing. Its letters and lines take the colour of the page's text, so it fits light pages, dark ones and paper.</summary>
    /// <param name="height">In pixels.</param>
    /// <param name="label">What it shows, in words.</param>
    public string ToSvg(double height, string label)
        => string.Create(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width:0} {height:0}\" width=\"{Width:0}\" height=\"{height:0}\" ")
            + $"style=\"max-width:100%;height:auto\" role=\"img\" aria-label=\"{HtmlText.Escape(label)}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"currentColor\">{_svg}</svg>";
}
