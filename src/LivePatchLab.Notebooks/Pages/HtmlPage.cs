using System.Globalization;
using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>An executed notebook as one HTML file. It asks nothing of a network: style, scripts and images are in it, and its own policy forbids the rest.</summary>
public static class HtmlPage
{
    private const string Policy = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:";

    /// <param name="document">An executed notebook.</param>
    /// <param name="title">The page's title when the notebook has no heading.</param>
    /// <param name="folder">Where relative images are looked for.</param>
    public static string Write(NotebookDocument document, string title, string folder)
    {
        var body = new StringBuilder();
        var plots = 0;
        foreach (var cell in document.Cells)
        {
            switch (cell.Kind)
            {
                case CellKind.Markdown:
                    body.Append("<section class=\"cell markdown\">").Append(MarkdownCell.ToHtml(cell, folder)).Append("</section>\n");
                    break;
                case CellKind.Code:
                    plots += Code(body, cell);
                    break;
                default:
                    // Raw cells are meant for other converters.
                    break;
            }
        }
        var page = new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.Append("<meta http-equiv=\"Content-Security-Policy\" content=\"").Append(Policy).Append("\">\n");
        page.Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.Append("<title>").Append(HtmlText.Escape(Heading(document) ?? title)).Append("</title>\n");
        page.Append("<style>\n").Append(PlotlyScript.Text("page.css")).Append("</style>\n</head>\n<body>\n<main>\n").Append(body).Append("</main>\n");
        if (plots > 0)
        {
            page.Append("<script>").Append(PlotlyScript.Text("plotly-cartesian.min.js")).Append("</script>\n");
            page.Append("<script>\n").Append(PlotlyScript.Text("plots.js")).Append("</script>\n");
        }
        return page.Append("</body>\n</html>\n").ToString();
    }

    private static string? Heading(NotebookDocument document)
        => document.Cells.Where(cell => cell.Kind == CellKind.Markdown).SelectMany(cell => cell.Source.Split('\n'))
            .FirstOrDefault(line => line.StartsWith("# ", StringComparison.Ordinal))?[2..].Trim();

    private static int Code(StringBuilder body, NotebookCell cell)
    {
        var source = cell.Source.ReplaceLineEndings("\n").TrimEnd('\n');
        var lines = source.Split('\n').Length;
        body.Append("<section class=\"cell code\">\n");
        if (cell.ExecutionCount is { } count)
            body.Append(CultureInfo.InvariantCulture, $"<p class=\"label\">[{count}]</p>\n");
        body.Append(lines == 1 ? "<div class=\"input single\">" : "<div class=\"input\">").Append("<pre class=\"numbers\" aria-hidden=\"true\">").AppendJoin('\n', Enumerable.Range(1, lines)).Append("</pre>");
        body.Append("<pre class=\"source\"><code>").Append(CodeColours.ToHtml(source)).Append("</code></pre></div>\n");
        var plots = 0;
        foreach (var output in cell.Outputs)
        {
            body.Append("<div class=\"output\">");
            switch (output)
            {
                case StreamOutput stream:
                    body.Append("<pre class=\"").Append(stream.Name == StreamOutput.Stderr ? "stderr" : "stdout").Append("\">").Append(HtmlText.Escape(stream.Text)).Append("</pre>");
                    break;
                case ErrorOutput error:
                    body.Append("<pre class=\"error\">").Append(HtmlText.Escape(string.Join('\n', error.Traceback))).Append("</pre>");
                    break;
                case DisplayOutput { Data: var data }:
                    plots += Forms(body, data);
                    break;
                case ResultOutput { Data: var data }:
                    plots += Forms(body, data);
                    break;
            }
            body.Append("</div>\n");
        }
        body.Append("</section>\n");
        return plots;
    }

    /// <summary>The best form that a page can show; returns 1 when it is a plot.</summary>
    private static int Forms(StringBuilder body, MimeBundle data)
    {
        if (data.Text(MimeBundle.Plotly) is { } plot)
        {
            // The drawing stands here until the script has drawn its own; and it stays where no script runs.
            body.Append("<div class=\"plot\"><script type=\"application/json\">").Append(plot.Replace("<", "\\u003c", StringComparison.Ordinal)).Append("</script>");
            body.Append((data.Text(MimeBundle.Html) ?? Plain(data, "still")).Replace(
                $"<details class=\"{Figure.DataClass}\">", $"<details class=\"{Figure.DataClass}\" open>", StringComparison.Ordinal)).Append("</div>");
            return 1;
        }
        if (data.Text(MimeBundle.Html) is { } html)
            body.Append(html);
        else if (data.Text(MimeBundle.Svg) is { } svg)
            body.Append("<img alt=\"").Append(HtmlText.Escape(data.Text(MimeBundle.Plain))).Append("\" src=\"data:image/svg+xml;base64,").Append(Convert.ToBase64String(Encoding.UTF8.GetBytes(svg))).Append("\">");
        else if (data.Text(MimeBundle.Png) is { } png)
            body.Append("<img alt=\"").Append(HtmlText.Escape(data.Text(MimeBundle.Plain))).Append("\" src=\"data:image/png;base64,").Append(HtmlText.Escape(png.ReplaceLineEndings(""))).Append("\">");
        else if (data.Text(MimeBundle.Markdown) is { } markdown)
            body.Append(MarkdownCell.ToHtml(new(CellKind.Markdown, "output", markdown), ""));
        else
            body.Append(Plain(data, "plain"));
        return 0;
    }

    private static string Plain(MimeBundle data, string name)
        => $"<pre class=\"{name}\">{HtmlText.Escape(data.Text(MimeBundle.Plain) ?? data.Select(form => data.Text(form.Key)).FirstOrDefault())}</pre>";
}
