namespace LivePatchLab.Notebooks;

/// <summary>HTML made elsewhere, shown as it is. Whoever makes it answers for its escaping; <paramref name="Text"/> says the same in words.</summary>
[TypeFormatterSource(typeof(ViewFormatterSource), PreferredMimeTypes = [MimeBundle.Html, MimeBundle.Plain])]
public sealed record HtmlFragment(string Markup, string Text) : IPictured
{
    public Picture? Picture { get; init; }

    public string ToHtml() => Markup;

    public override string ToString() => Text;
}
