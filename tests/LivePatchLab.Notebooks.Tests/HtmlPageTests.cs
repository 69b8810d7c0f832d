using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace LivePatchLab.Notebooks.Tests;

public sealed partial class HtmlPageTests
{
    private static NotebookDocument Document => new()
    {
        Cells =
        [
            new(CellKind.Markdown, "a", "# Patching <live>\n\nA [link](https://example.org/x), math $a<b$ and ![a picture](https://example.org/p.png \"t\")\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n<script src=\"https://example.org/x.js\"></script>"),
            new(CellKind.Code, "b", "#!patch --engine stop_machine\n// a remark with <tags>\nvar s = \"text\";\nfor (var i = 0; i < 3; i++)\n    Console.WriteLine(s);")
            {
                ExecutionCount = 1,
                Outputs =
                [
                    new StreamOutput("stdout", "a <b> & c\n"),
                    new DisplayOutput(Formatter.Bundle(TestFigures.Syncs)),
                    new DisplayOutput(Formatter.Bundle(TestFigures.Hits)),
                    new DisplayOutput(Formatter.Bundle(TestFigures.Models)),
                    new DisplayOutput(Formatter.Bundle(TestFigures.Cpus)),
                    new DisplayOutput(new MimeBundle(MimeBundle.Plotly, """{"data":[{"name":"</script><script>alert(1)"}]}""").Set(MimeBundle.Plain, "by hand")),
                    new ResultOutput(1, Formatter.Bundle(new[] { (Name: "x", N: 1) })),
                    new ErrorOutput("UserError", "m", ["cell 2, line 1: no <machine>"]),
                ],
            },
        ],
    };

    [Fact]
    public void A_page_asks_nothing_of_a_network()
    {
        var page = HtmlPage.Write(Document, "x", "");
        var own = WithoutScripts().Replace(page, "");
        var addresses = Address().Matches(own).Select(match => match.Value).ToArray();
        // What is left are links that a reader may follow.
        addresses.ShouldBe(["<a href=\"https://example.org/x\"", "<a href=\"https://example.org/p.png\""]);
        own.ShouldNotContain("@import");
        own.ShouldNotContain("url(");
        page.ShouldContain("default-src 'none'");
        WithoutScripts().Matches(page).Select(match => match.Groups[1].Value).ShouldAllBe(attributes => !attributes.Contains("src", StringComparison.Ordinal));
    }

    [Fact]
    public void Everything_from_a_user_is_escaped()
    {
        var page = HtmlPage.Write(Document, "x", "");
        page.ShouldContain("<title>Patching &lt;live&gt;</title>");
        page.ShouldContain("a &lt;b&gt; &amp; c");
        page.ShouldContain("no &lt;machine&gt;");
        page.ShouldContain("// a remark with &lt;tags&gt;");
        page.ShouldContain("&lt;script src=");
        page.ShouldNotContain("<script>alert");
    }

    [Fact]
    public void Every_plot_has_its_drawing_and_an_open_table()
    {
        var page = WithoutScripts().Replace(HtmlPage.Write(Document, "x", ""), "");
        page.Split("<svg ").Length.ShouldBe(5);
        page.Split("<details class=\"livepatch-data\" open>").Length.ShouldBe(5);
        page.ShouldContain("by hand");
    }

    [Fact]
    public void A_page_without_plots_does_not_carry_the_plotting_library()
    {
        var page = HtmlPage.Write(new() { Cells = [new(CellKind.Code, "a", "1")] }, "no <plots>", "");
        page.Length.ShouldBeLessThan(20_000);
        page.ShouldNotContain("<script");
        page.ShouldContain("<title>no &lt;plots&gt;</title>");
    }

    [Fact]
    public void Colouring_changes_no_character_of_the_source()
    {
        var source = Document.Cells[1].Source + "\n#!lab\n#!lab x\n\nvar t = $\"{s} and {1}\"; /* open";
        var html = CodeColours.ToHtml(source);
        System.Net.WebUtility.HtmlDecode(Tags().Replace(html, "")).ShouldBe(source);
        html.ShouldContain("<span class=\"m\">#!patch</span> <span class=\"k\">--engine</span> stop_machine");
        html.ShouldContain("<span class=\"k\">for</span>");
        html.ShouldContain("<span class=\"c\">// a remark");
    }

    [Fact]
    public void A_picture_beside_the_notebook_is_put_into_the_page()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("p.png"), [1, 2, 3]);
        HtmlPage.Write(new() { Cells = [new(CellKind.Markdown, "a", "![p](p.png)")] }, "x", folder.File("")).ShouldContain("<img src=\"data:image/png;base64,AQID\"");
    }

    [Fact]
    public void What_a_reader_may_unfold_stays_folded_on_the_page()
    {
        var html = HtmlPage.Write(new() { Cells = [new(CellKind.Markdown, "a", "<details><summary>Hint <b>1</b></summary>\n\nA *hint*.\n\n</details>\n\n<details><summary>Two</summary>\n\n```csharp\nx < y;\n```\n\n</details>")] }, "x", ".");
        html.ShouldContain("<details><summary>Hint &lt;b&gt;1&lt;/b&gt;</summary>\n<p>A <em>hint</em>.</p>\n</details>");
        html.ShouldContain("<details><summary>Two</summary>\n<pre><code class=\"language-csharp\">x &lt; y;");
    }

    [Fact]
    public void The_plotting_library_is_the_file_that_was_fetched()
    {
        Convert.ToHexStringLower(SHA256.HashData(PlotlyScript.Bytes)).ShouldBe(PlotlyScript.Sha256);
        System.Text.Encoding.UTF8.GetString(PlotlyScript.Bytes.AsSpan(0, 200)).ShouldContain($"v{PlotlyScript.Version}");
    }

    [GeneratedRegex("<script([^>]*)>.*?</script>", RegexOptions.Singleline)]
    private static partial Regex WithoutScripts();

    [GeneratedRegex("<[a-z]+ (?:[^>]* )?(?:src|href|srcset|data|action)=\"(?:https?:)?//[^\"]*\"")]
    private static partial Regex Address();

    [GeneratedRegex("<[^>]+>")]
    private static partial Regex Tags();
}
