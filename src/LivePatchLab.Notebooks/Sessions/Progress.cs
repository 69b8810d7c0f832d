using System.Globalization;

namespace LivePatchLab.Notebooks;

/// <summary>How far a work is: <paramref name="Done"/> of <paramref name="Total"/>, in words of the field.</summary>
[TypeFormatterSource(typeof(ViewFormatterSource), PreferredMimeTypes = [MimeBundle.Html, MimeBundle.Plain])]
public sealed record Progress(long Done, long Total, string Text)
{
    public double Fraction => Total <= 0 ? 0 : Math.Clamp((double)Done / Total, 0, 1);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Text}: {Done} of {Total}");

    public string ToHtml() => string.Create(
        CultureInfo.InvariantCulture,
        $"<progress max=\"{Math.Max(Total, 1)}\" value=\"{Math.Clamp(Done, 0, Math.Max(Total, 1))}\"></progress> {HtmlText.Escape(ToString())}");
}
