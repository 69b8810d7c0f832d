namespace LivePatchLab.Notebooks.Tests;

/// <summary>A session with the lab's own magics, and what its cells show.</summary>
internal sealed class LabSession
{
    private readonly NotebookSession _session = new(LabMagics.Table(), new CSharpSession());
    private int _cell;

    /// <summary>The working copy that the tests were built from.</summary>
    public static string Root { get; } = FindRoot();

    public List<Progress> Progress { get; } = [];

    /// <summary>The plain text of all that a cell shows; it must not fail.</summary>
    public async Task<string> Text(string code)
    {
        var output = new OutputCollector(Progress.Add);
        var result = await _session.RunCellAsync(code, ++_cell, output, CancellationToken.None);
        result.Failure?.ToString().ShouldBeNull();
        return string.Join("\n", output.Outputs.Select(TestRun.Plain).Concat(result.Value is null ? [] : [result.Value.Text(MimeBundle.Plain)!]));
    }

    /// <summary>What a cell says that must fail.</summary>
    public async Task<string> Error(string code)
        => (await _session.RunCellAsync(code, ++_cell, new OutputCollector(), CancellationToken.None)).Failure.ShouldNotBeNull().ToString();

    public Task<CellResult> Run(string code, ICellOutput output, CancellationToken token = default) => _session.RunCellAsync(code, ++_cell, output, token);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "LivePatchLab.sln"))) return folder.FullName;
        throw new InvalidOperationException($"no LivePatchLab.sln above {AppContext.BaseDirectory}");
    }
}
