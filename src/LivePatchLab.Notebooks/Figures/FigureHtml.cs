namespace LivePatchLab.Notebooks;

/// <summary>A drawing with its caption, and its data folded away below.</summary>
internal static class FigureHtml
{
    public static string Of(string svg, string caption, DataTable? data)
        => $"<figure style=\"margin:0;max-width:800px\">{svg}<figcaption>{HtmlText.Escape(caption)}</figcaption>"
            + (data is null ? "" : $"<details class=\"{Figure.DataClass}\"><summary style=\"{HtmlText.SummaryStyle}\">Data</summary>{data.ToHtml()}</details>") + "</figure>";
}
