namespace LivePatchLab.Notebooks.Tests;

[Collection("Sessions")]
public sealed class NotebookRunnerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly NotebookRunner _runner = new(TestMagics.Session);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_good_notebook_is_written_with_its_outputs_and_a_second_run_gives_the_same_bytes()
    {
        var path = Write("good.ipynb", (CellKind.Markdown, "# Title"), (CellKind.Code, "var x = 20;\nConsole.WriteLine(\"hello\");"), (CellKind.Code, " \n"),
            (CellKind.Code, "#!count\nx + 1"));
        var cells = new List<CellStart>();
        var result = await _runner.RunAsync(path, Options with { OnCell = cells.Add });
        result.Failure.ShouldBeNull();
        result.CellsRun.ShouldBe(2);
        result.WrittenFiles.ShouldBe([_folder.File("out/good.ipynb")]);
        cells.ShouldBe([new(2, 4, "var x = 20;"), new(4, 4, "#!count")]);
        var executed = NotebookDocument.Read(_folder.File("out/good.ipynb"));
        executed.Cells.Select(cell => cell.ExecutionCount).ShouldBe([null, 1, null, 2]);
        executed.Cells[1].Outputs.Select(TestRun.Plain).ShouldBe(["hello\n"]);
        executed.Cells[3].Outputs.Select(TestRun.Plain).ShouldBe(["3", "21"]);
        var first = File.ReadAllText(_folder.File("out/good.ipynb"));
        var again = await _runner.RunAsync(_folder.File("out/good.ipynb"), Options with { OutputFolder = _folder.File("again") });
        File.ReadAllText(again.WrittenFiles.Single()).ShouldBe(first);
    }

    [Fact]
    public async Task The_first_failing_cell_stops_the_run_and_nothing_is_written()
    {
        var path = Write("bad.ipynb", (CellKind.Markdown, "x"), (CellKind.Code, "1"), (CellKind.Code, "\nnope"),
            (CellKind.Code, $"System.IO.File.WriteAllText(@\"{_folder.File("reached")}\", \"\");"));
        var result = await _runner.RunAsync(path, Options with { Html = true });
        result.CellsRun.ShouldBe(2);
        result.Failure.ShouldNotBeNull().ToString().ShouldBe("cell 3, line 2: The name 'nope' does not exist in the current context (CS0103)");
        result.WrittenFiles.ShouldBeEmpty();
        Directory.Exists(_folder.File("out")).ShouldBeFalse();
        File.Exists(_folder.File("reached")).ShouldBeFalse();
    }

    [Fact]
    public async Task A_failure_leaves_the_output_of_the_last_good_run_alone()
    {
        var path = Write("x.ipynb", (CellKind.Code, "1"));
        var written = (await _runner.RunAsync(path, Options)).WrittenFiles.Single();
        var good = File.ReadAllText(written);
        Write("x.ipynb", (CellKind.Code, "throw new Exception();"));
        (await _runner.RunAsync(path, Options)).Succeeded.ShouldBeFalse();
        File.ReadAllText(written).ShouldBe(good);
    }

    [Fact]
    public async Task A_cell_tagged_raises_exception_may_fail_and_shows_its_error()
    {
        var document = new NotebookDocument
        {
            Cells =
            [
                new(CellKind.Code, "a", "#!patch") { Metadata = new() { ["tags"] = new System.Text.Json.Nodes.JsonArray(NotebookCell.RaisesException) } },
                new(CellKind.Code, "b", "2"),
            ],
        };
        document.Write(_folder.File("raises.ipynb"));
        var result = await _runner.RunAsync(_folder.File("raises.ipynb"), Options);
        result.Succeeded.ShouldBeTrue();
        var error = NotebookDocument.Read(result.WrittenFiles[0]).Cells[0].Outputs.Single().ShouldBeOfType<ErrorOutput>();
        error.Name.ShouldBe("UserError");
        error.Traceback.ShouldBe(["cell 1, line 1: #!patch needs --engine: the protocol"]);
    }

    [Fact]
    public async Task An_interrupt_ends_the_run_even_in_a_cell_that_may_fail()
    {
        var document = new NotebookDocument
        {
            Cells = [new(CellKind.Code, "a", "#!wait") { Metadata = new() { ["tags"] = new System.Text.Json.Nodes.JsonArray(NotebookCell.RaisesException) } }],
        };
        document.Write(_folder.File("wait.ipynb"));
        using var source = new CancellationTokenSource();
        var running = _runner.RunAsync(_folder.File("wait.ipynb"), Options with { OnCell = _ => source.CancelAfter(1) }, source.Token);
        (await running).Failure.ShouldNotBeNull().Kind.ShouldBe(CellFailure.Interrupted);
    }

    [Fact]
    public async Task A_notebook_is_never_overwritten_by_its_own_run()
    {
        var path = Write("same.ipynb", (CellKind.Code, "1"));
        (await Should.ThrowAsync<BadNotebookException>(() => _runner.RunAsync(path, new() { OutputFolder = _folder.File("") })))
            .Message.ShouldContain("would overwrite it");
    }

    [Fact]
    public async Task A_figure_in_a_cell_reaches_the_notebook_and_the_page_in_all_its_forms()
    {
        var path = Write("figure.ipynb", (CellKind.Code, "new Figure(\"Cost\").X(\"CPUs\").Line(\"measured\", [(1, 2), (2, 4)])"));
        var result = await _runner.RunAsync(path, Options with { Html = true });
        result.Failure.ShouldBeNull();
        result.WrittenFiles.ShouldBe([_folder.File("out/figure.ipynb"), _folder.File("out/figure.html")]);
        var data = NotebookDocument.Read(result.WrittenFiles[0]).Cells[0].Outputs.Single().ShouldBeOfType<ResultOutput>().Data;
        data[MimeBundle.Plotly]!["data"]![0]!["name"]!.GetValue<string>().ShouldBe("measured");
        File.ReadAllText(result.WrittenFiles[1]).ShouldContain("<svg ");
    }

    private NotebookRunOptions Options => new() { OutputFolder = _folder.File("out") };

    private string Write(string name, params (CellKind Kind, string Source)[] cells)
    {
        new NotebookDocument { Cells = [.. cells.Select((cell, i) => new NotebookCell(cell.Kind, $"c{i}", cell.Source))] }.Write(_folder.File(name));
        return _folder.File(name);
    }
}
