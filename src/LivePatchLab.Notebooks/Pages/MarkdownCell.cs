using System.Text.RegularExpressions;
using Markdig;
using Markdig.Renderers;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace LivePatchLab.Notebooks;

/// <summary>A Markdown cell as HTML that asks nothing of a network: local images are put into the page, remote ones become links.</summary>
internal static partial class MarkdownCell
{
    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder()
        .UsePipeTables().UseGridTables().UseTaskLists().UseFootnotes().UseDefinitionLists().UseEmphasisExtras().UseAutoIdentifiers().DisableHtml().Build();

    public static string ToHtml(NotebookCell cell, string folder)
    {
        var document = Markdown.Parse(cell.Source, Pipeline);
        foreach (var image in document.Descendants<LinkInline>().Where(link => link.IsImage))
        {
            if (DataOf(image.Url ?? "", cell, folder) is { } data)
                image.Url = data;
            else
                // The words of the image stay and lead to it; only its drawing is left to the reader's will.
                image.IsImage = false;
        }
        var writer = new StringWriter();
        var renderer = new HtmlRenderer(writer);
        Pipeline.Setup(renderer);
        renderer.Render(document);
        return FoldEnd().Replace(FoldBegin().Replace(writer.ToString(), "<details><summary>${title}</summary>"), "</details>");
    }

    // The one piece of HTML that is let through: what a reader may unfold, such as a hint. Each of its lines stands alone, between blank ones.
    [GeneratedRegex("<p>&lt;details&gt;&lt;summary&gt;(?<title>[^<\\n]*?)&lt;/summary&gt;</p>")]
    private static partial Regex FoldBegin();

    [GeneratedRegex("<p>&lt;/details&gt;</p>")]
    private static partial Regex FoldEnd();

    private static string? DataOf(string url, NotebookCell cell, string folder)
    {
        if (url.StartsWith("data:image/", StringComparison.Ordinal))
            return url;
        if (url.StartsWith("attachment:", StringComparison.Ordinal))
        {
            var (mimeType, content) = (cell.Attachments?[Uri.UnescapeDataString(url["attachment:".Length..])] as System.Text.Json.Nodes.JsonObject)?.FirstOrDefault() ?? default;
            return content is null ? null : $"data:{mimeType};base64,{content}";
        }
        if (url.Length == 0 || url.Contains(':', StringComparison.Ordinal) || url.StartsWith('/'))
            return null;
        var type = Path.GetExtension(url).ToLowerInvariant() switch
        {
            ".png" => "image/png",
            ".jpg" or ".jpeg" => "image/jpeg",
            ".gif" => "image/gif",
            ".svg" => "image/svg+xml",
            ".webp" => "image/webp",
            _ => null,
        };
        var path = Path.Combine(folder, Uri.UnescapeDataString(url));
        return type is null || !File.Exists(path) ? null : $"data:{type};base64,{Convert.ToBase64String(File.ReadAllBytes(path))}";
    }
}
