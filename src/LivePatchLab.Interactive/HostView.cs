using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>What the host is given to show: HTML and plain text, whatever other forms there are. It has no reader for Plotly's JSON and hands PNG on as text.</summary>
internal static class HostView
{
    /// <summary>A value with formatters for both forms, so that the host never has to make up one of them.</summary>
    public static HtmlFragment Of(MimeBundle bundle)
    {
        var plain = bundle.Text(MimeBundle.Plain) ?? "";
        return new(bundle.Text(MimeBundle.Html) ?? $"<pre>{HtmlText.Escape(plain)}</pre>", plain);
    }
}
