using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;
using Microsoft.Playwright;

namespace LivePatchLab.Frontends.Tests;

/// <summary>The notebooks that the lab ships, executed and turned into a page by Jupyter's own program.</summary>
[Collection("Frontends")]
public sealed class NbConvertTests(FrontendSession session)
{
    /// <summary>With more patience than its own, after which it goes on without the output that is still to come.</summary>
    private static readonly string[] Execute =
        ["--execute", "--ExecutePreprocessor.startup_timeout=240", "--ExecutePreprocessor.timeout=240", "--ExecutePreprocessor.iopub_timeout=60"];

    private static string Folder => Path.Combine(LabFolder.Root, "notebooks");

    public static TheoryData<string> Notebooks() => [.. Directory.EnumerateFiles(Folder, "*.ipynb").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [FrontendTheory("python3-nbconvert")]
    [MemberData(nameof(Notebooks))]
    public void A_notebook_executed_by_nbconvert_shows_what_it_was_committed_with(string name)
    {
        var (status, path, errors) = Convert(Path.Combine(Folder, name), "notebook", Execute);
        status.ShouldBe(0, errors);
        var (shown, committed) = (Shown(NotebookDocument.Read(path)), Shown(NotebookDocument.Read(Path.Combine(Folder, name))));
        shown.Select(output => output.Text).ShouldBe(committed.Select(output => output.Text));
        // By value: Python writes 1e-06 where .NET writes 1E-06.
        shown.Zip(committed).Where(pair => !JsonNode.DeepEquals(pair.First.Plot, pair.Second.Plot)).Select(pair => pair.First.Text).ShouldBeEmpty();
    }

    [FrontendFact("python3-nbconvert")]
    public void A_notebook_whose_cell_fails_fails_in_nbconvert_too()
    {
        var (status, _, errors) = Convert(Written("fails", "1 + 1", "#!machin --cpus 4", "3 + 3"), "notebook", Execute);
        status.ShouldNotBe(0);
        errors.ShouldContain("Did you mean #!machine?");
    }

    [FrontendFact("python3-nbconvert", "chromium")]
    public async Task A_page_made_by_nbconvert_shows_every_figure_without_a_network()
    {
        var notebook = Path.Combine(Folder, "02-sync-cost.ipynb");
        // A sweep shows its figure above its table, in one output.
        var figures = NotebookDocument.Read(notebook).Cells.SelectMany(cell => cell.Outputs).Sum(DrawingsIn);
        figures.ShouldBeGreaterThan(0);
        var (status, path, errors) = Convert(notebook, "html");
        status.ShouldBe(0, errors);

        // What else such a page asks of a network (MathJax, RequireJS) is nbconvert's, and is not had here.
        var page = await session.NewPageAsync();
        await page.Page.GotoAsync(new Uri(path).AbsoluteUri, new() { WaitUntil = WaitUntilState.DOMContentLoaded });
        var drawings = page.Page.Locator("svg[role='img']");
        (await drawings.CountAsync()).ShouldBe(figures);
        for (var i = 0; i < figures; i++)
        {
            (await drawings.Nth(i).BoundingBoxAsync())!.Width.ShouldBeInRange(400, 800);
            (await drawings.Nth(i).GetAttributeAsync("aria-label")).ShouldNotBeNullOrWhiteSpace();
        }

        await drawings.First.ScrollIntoViewIfNeededAsync();
        await page.KeepAsync("nbconvert-plot");
    }

    private static int DrawingsIn(NotebookOutput output) => (output switch
    {
        DisplayOutput display => display.Data.Text(MimeBundle.Html),
        ResultOutput result => result.Data.Text(MimeBundle.Html),
        _ => null,
    })?.Split("<svg ").Length - 1 ?? 0;

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
    /// The text of every output with the number of its cell, and the data of every figure. A progress bar that a slow machine has shown is empty at the end of its cell.
    /// </summary>
    private static List<(string Text, JsonNode? Plot)> Shown(NotebookDocument document)
        => [.. document.Cells.Index().SelectMany(cell => cell.Item.Outputs.Where(output => Text(output).Length > 0).Select(output => ($"cell {cell.Index + 1}: {Text(output)}", Form(output, MimeBundle.Plotly))))];

    private static string Text(NotebookOutput output) => output switch
    {
        StreamOutput stream => $"{stream.Name}: {stream.Text}",
        ErrorOutput error => $"{error.Name}: {error.Value}",
        _ => Form(output, MimeBundle.Plain)?.GetValue<string>() ?? "",
    };

    private static JsonNode? Form(NotebookOutput output, string type) => output switch
    {
        DisplayOutput display => display.Data[type],
        ResultOutput result => result.Data[type],
        _ => null,
    };
}
