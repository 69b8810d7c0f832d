using System.Text.RegularExpressions;

namespace LivePatchLab.Notebooks.Tests;

/// <summary>The page that answers the seed's questions says what notebook 06 shows, and nothing else.</summary>
public sealed partial class SeedQuestionsTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(LabSession.Root, "docs", "seed-questions.md")).ReplaceLineEndings("\n");

    private static readonly NotebookOutput[] Shown = [.. NotebookDocument.Read(Path.Combine(LabSession.Root, "notebooks", "06-which-sync.ipynb")).Cells.SelectMany(cell => cell.Outputs)];

    [Fact]
    public void Every_table_of_the_page_is_shown_by_the_notebook()
    {
        var tables = Blocks().Matches(Page).Select(match => match.Groups["text"].Value).ToArray();
        tables.Length.ShouldBeGreaterThan(3);
        var shown = Shown.Select(TestRun.Plain).Select(Trimmed).ToArray();
        foreach (var table in tables) shown.ShouldContain(text => text.Contains(Trimmed(table), StringComparison.Ordinal), table);
    }

    [Fact]
    public void Every_figure_of_the_page_is_shown_by_the_notebook()
    {
        var figures = Figures().Matches(Page).Select(match => match.Groups["file"].Value).ToArray();
        figures.ShouldNotBeEmpty();
        var images = Shown.OfType<ResultOutput>().Select(output => output.Data.Text("image/png")).OfType<string>().Select(text => Convert.FromBase64String(text.Trim())).ToArray();
        foreach (var figure in figures)
            images.ShouldContain(image => image.SequenceEqual(File.ReadAllBytes(Path.Combine(LabSession.Root, "docs", figure))), figure);
    }

    private static string Trimmed(string text) => string.Join('\n', text.Split('\n').Select(line => line.TrimEnd())).Trim('\n');

    [GeneratedRegex(@"```\n(?<text>.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"!\[[^\]]*\]\((?<file>[\w.-]+\.png)\)")]
    private static partial Regex Figures();
}
