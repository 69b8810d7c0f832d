namespace LivePatchLab.Notebooks.Tests;

[Collection("Sessions")]
public sealed class NotebookCheckTests : IDisposable
{
    private const string Figure = "new Figure(\"Cost\").X(\"CPUs\").Line(\"measured\", [(1, 2), (2, 4)])";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_notebook_that_shows_what_it_was_saved_with_is_the_same()
    {
        var check = await Check(await Executed());
        check.IsSame.ShouldBeTrue();
        check.CellsRun.ShouldBe(3);
    }

    [Fact]
    public async Task A_drifted_line_is_found_with_its_cell_and_what_it_was()
    {
        var document = await Executed();
        document.Cells[1].Outputs[0] = new StreamOutput(StreamOutput.Stdout, "one\nthree\n");
        var drift = (await Check(document)).Drifts.ShouldHaveSingleItem();
        drift.ShouldBe(new(2, "output 1, line 2", "three", "two"));
        drift.ToString().ShouldBe("cell 2, output 1, line 2\n  was: three\n  is:  two");
    }

    [Fact]
    public async Task A_drifted_number_of_a_figure_is_found_with_its_path()
    {
        var document = await Executed();
        var data = document.Cells[3].Outputs[0].ShouldBeOfType<ResultOutput>().Data;
        data[MimeBundle.Plotly]!["data"]![0]!["y"]![1] = 5;
        (await Check(document)).Drifts.ShouldBe([new(4, "output 1, figure data[0].y[1]", "5", "4")]);
    }

    [Fact]
    public async Task A_lost_output_and_one_too_many_are_found()
    {
        var document = await Executed();
        document.Cells[1].Outputs.Clear();
        document.Cells[2].Outputs.Add(new DisplayOutput(new(MimeBundle.Plain, "left over\nfrom before")));
        (await Check(document)).Drifts.ShouldBe([new(2, "output 1", null, "one"), new(3, "output 2", "left over", null)]);
    }

    [Fact]
    public async Task Html_and_the_pieces_of_a_stream_do_not_count()
    {
        var document = await Executed();
        document.Cells[1].Outputs.Clear();
        document.Cells[1].Outputs.AddRange([new StreamOutput(StreamOutput.Stdout, "on"), new StreamOutput(StreamOutput.Stdout, "e\ntwo\n")]);
        document.Cells[2].Outputs[0].ShouldBeOfType<ResultOutput>().Data.Set(MimeBundle.Html, "<b>42</b>");
        (await Check(document)).IsSame.ShouldBeTrue();
    }

    [Fact]
    public async Task A_notebook_without_outputs_is_told_and_not_run()
    {
        var document = Document((CellKind.Code, $"System.IO.File.WriteAllText(@\"{_folder.File("reached")}\", \"\");"));
        var check = await Check(document);
        (check.IsExecuted, check.IsSame, check.CellsRun).ShouldBe((false, false, 0));
        File.Exists(_folder.File("reached")).ShouldBeFalse();
        (await Check(Document((CellKind.Markdown, "only text")))).IsSame.ShouldBeTrue();
    }

    [Fact]
    public async Task A_cell_that_fails_ends_the_check()
    {
        var document = await Executed();
        document.Cells[2].Source = "nope";
        var check = await Check(document);
        check.IsSame.ShouldBeFalse();
        check.Failure.ShouldNotBeNull().ToString().ShouldStartWith("cell 3, line 1: The name 'nope'");
    }

    [Fact]
    public void A_long_line_is_cut_to_where_it_differs()
    {
        var text = new CellDrift(1, "output 1, line 1", new string('a', 500) + "x" + new string('b', 500), new string('a', 500) + "y" + new string('b', 500)).ToString();
        text.ShouldContain("axb");
        text.ShouldContain("ayb");
        text.Split('\n').ShouldAllBe(line => line.Length < 140);
    }

    private static async Task<NotebookDocument> Executed()
    {
        var document = Document((CellKind.Markdown, "# Title"), (CellKind.Code, "Console.WriteLine(\"one\");\nConsole.WriteLine(\"two\");"), (CellKind.Code, "40 + 2"), (CellKind.Code, Figure));
        (await new NotebookRunner(TestMagics.Session).RunAsync(document, new())).Failure.ShouldBeNull();
        return document;
    }

    private static NotebookDocument Document(params (CellKind Kind, string Source)[] cells)
        => new() { Cells = [.. cells.Select((cell, i) => new NotebookCell(cell.Kind, $"c{i}", cell.Source))] };

    private Task<NotebookCheckResult> Check(NotebookDocument document)
    {
        document.Write(_folder.File("x.ipynb"));
        return NotebookCheck.RunAsync(_folder.File("x.ipynb"), new NotebookRunner(TestMagics.Session), new NotebookRunOptions());
    }
}
