using System.Text.RegularExpressions;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Frontends.Tests;

/// <summary>The notebooks that the lab ships, executed and turned into a page by Jupyter's own program.</summary>
[Collection("Frontends")]
public sealed partial class NbConvertTests(FrontendSession session)
{
    private static string Folder => Path.Combine(LabFolder.Root, "notebooks");

    public static TheoryData<string> Notebooks() => [.. Directory.EnumerateFiles(Folder, "*.ipynb").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [FrontendTheory("python3-nbconvert")]
    [MemberData(nameof(Notebooks))]
    public void A_notebook_executed_by_nbconvert_shows_what_it_was_committed_with(string name)
    {
        var (status, path, errors) = Convert(Path.Combine(Folder, name), "notebook", "--execute", "--ExecutePreprocessor.timeout=240");
        status.ShouldBe(0, errors);
        Shown(NotebookDocument.Read(path)).ShouldBe(Shown(NotebookDocument.Read(Path.Combine(Folder, name))));
    }

    [FrontendFact("python3-nbconvert")]
    public void A_notebook_whose_cell_fails_fails_in_nbconvert_too()
    {
        var (status, _, errors) = Convert(Written("fails", "1 + 1", "#!machin --cpus 4", "3 + 3"), "notebook", "--execute", "--ExecutePreprocessor.timeout=240");
        status.ShouldNotBe(0);
        errors.ShouldContain("Did you mean #!machine?");
    }

    [FrontendFact("python3-nbconvert")]
    public void A_page_made_by_nbconvert_has_every_figure_drawn()
    {
        var notebook = Path.Combine(Folder, "02-sync-cost.ipynb");
        var figures = NotebookDocument.Read(notebook).Cells.SelectMany(cell => cell.Outputs).Count(output => Form(output, MimeBundle.Plotly) is not null);
        figures.ShouldBeGreaterThan(0);
        var (status, path, errors) = Convert(notebook, "html");
        status.ShouldBe(0, errors);
        var drawings = Drawing().Matches(File.ReadAllText(path));
        drawings.Count.ShouldBe(figures);
        drawings.ShouldAllBe(drawing => drawing.Value.Contains("<path d=\"M", StringComparison.Ordinal) && drawing.Groups["label"].Length > 20);
    }

    private string Written(string name, params string[] cells)
    {
        var path = Path.Combine(session.Jupyter.NewFolder("written"), name + ".ipynb");
        LabNotebook.Of(cells).Write(path);
        return path;
    }

    private (int Status, string Path, string Errors) Convert(string notebook, string format, params string[] options)
    {
        var folder = session.Jupyter.NewFolder("converted");
        // Debian's python3-nbconvert has no program of its own for the command jupyter to find.
        var (status, _, errors) = JupyterHome.Run(session.Jupyter.Python(["-m", "nbconvert", "--to", format, "--output-dir", folder, .. options, notebook]));
        return (status, Path.Combine(folder, Path.GetFileNameWithoutExtension(notebook) + (format == "html" ? ".html" : ".ipynb")), errors);
    }

    /// <summary>
    /// The text of every output, and the data of every figure, with the number of its cell. A progress bar that a slow machine has shown is empty at the end of its cell.
    /// </summary>
    private static List<string> Shown(NotebookDocument document)
        => [.. document.Cells.Index().SelectMany(cell => cell.Item.Outputs.Where(output => Text(output).Length > 0).Select(output => $"cell {cell.Index + 1}: {Text(output)}\n{Form(output, MimeBundle.Plotly)}"))];

    private static string Text(NotebookOutput output) => output switch
    {
        StreamOutput stream => $"{stream.Name}: {stream.Text}",
        ErrorOutput error => $"{error.Name}: {error.Value}",
        _ => Form(output, MimeBundle.Plain) ?? "",
    };

    private static string? Form(NotebookOutput output, string type) => output switch
    {
        DisplayOutput display => display.Data.Text(type),
        ResultOutput result => result.Data.Text(type),
        _ => null,
    };

    [GeneratedRegex("<svg [^>]*role=\"img\" aria-label=\"(?<label>[^\"]*)\".*?</svg>", RegexOptions.Singleline)]
    private static partial Regex Drawing();
}
