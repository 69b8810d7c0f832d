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
        var check = await NotebookCheck.RunAsync(path, new NotebookRunner(() => new NotebookSession(LabMagics.Table(), new CSharpSession())), new NotebookRunOptions());
        check.IsExecuted.ShouldBeTrue("it is committed executed: livepatch notebook run");
        check.Failure?.ToString().ShouldBeNull();
        check.Drifts.Select(drift => drift.ToString()).ShouldBeEmpty();
    }
}
