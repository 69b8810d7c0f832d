namespace LivePatchLab.Notebooks.Tests;

/// <summary>The notebooks that the lab ships are run as their readers run them, and must show again what they were committed with.</summary>
[Collection("Sessions")]
public sealed class CommittedNotebookTests
{
    private const int BytesMax = 1_000_000;

    public static TheoryData<string> Notebooks()
        => [.. Directory.EnumerateFiles(Path.Combine(LabSession.Root, "notebooks"), "*.ipynb").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Notebooks))]
    public async Task A_notebook_runs_and_shows_what_it_was_committed_with(string name)
    {
        var path = Path.Combine(LabSession.Root, "notebooks", name);
        new FileInfo(path).Length.ShouldBeLessThan(BytesMax);
        var committed = Shown(NotebookDocument.Read(path));
        committed.ShouldNotBeEmpty("it is committed executed: livepatch notebook run");

        var document = NotebookDocument.Read(path);
        var runner = new NotebookRunner(() => new NotebookSession(LabMagics.Table(), new CSharpSession()));
        var (_, failure) = await runner.RunAsync(document, new NotebookRunOptions());
        failure?.ToString().ShouldBeNull();
        // Through the file's own form, in which numbers and texts are written in one way.
        Shown(NotebookDocument.Parse(document.ToJson(), name)).ShouldBe(committed);
    }

    /// <summary>The text of every output, and the data of every figure, with the number of its cell.</summary>
    private static List<string> Shown(NotebookDocument document)
        => [.. document.Cells.Index().SelectMany(cell => cell.Item.Outputs.Select(output => $"cell {cell.Index + 1}: {TestRun.Plain(output)}\n{Plot(output)}"))];

    private static string? Plot(NotebookOutput output) => output switch
    {
        DisplayOutput display => display.Data.Text(MimeBundle.Plotly),
        ResultOutput result => result.Data.Text(MimeBundle.Plotly),
        _ => null,
    };
}
