namespace LivePatchLab.Notebooks.Tests;

/// <summary>Clearing, replacing, asking and writing without end, as a run without a frontend has them.</summary>
[Collection("Sessions")]
public sealed class CellOutputTests
{
    private readonly TestRun _run = new();

    [Theory]
    [InlineData("Console.Write(\"a\"); display(1); clear(); Console.Write(\"b\");", "b")]
    [InlineData("Console.Write(\"a\"); clear(wait: true);", "a")]
    [InlineData("Console.Write(\"a\"); clear(wait: true); Console.Write(\"b\"); display(2);", "b|2")]
    [InlineData("var gone = display(1); clear(); gone.Update(2);", "")]
    [InlineData("var one = display(1); var same = display(1); same.Update(2);", "1|2")]
    public async Task Clearing_removes_what_the_cell_has_shown(string code, string left) => (await _run.Text(code)).ShouldBe(left);

    [Fact]
    public async Task A_later_cell_replaces_an_output_of_an_earlier_one_in_the_document()
    {
        var document = new NotebookDocument
        {
            Cells = [new(CellKind.Code, "a", "var shown = display(\"old\"); Console.Write(\"kept\");"), new(CellKind.Code, "b", "Console.Write(\"then\"); shown.Update(\"new\");")],
        };
        (await new NotebookRunner(TestMagics.Session).RunAsync(document, new())).Failure.ShouldBeNull();
        document.Cells[0].Outputs.Select(TestRun.Plain).ShouldBe(["new", "kept"]);
        document.Cells[1].Outputs.Select(TestRun.Plain).ShouldBe(["then"]);
    }

    [Fact]
    public async Task What_a_forgotten_thread_replaces_after_its_cell_is_dropped()
    {
        var document = new NotebookDocument
        {
            Cells =
            [
                new(CellKind.Code, "a", "var go = new ManualResetEventSlim(); var mine = display(\"mine\"); var late = Task.Run(() => { go.Wait(); mine.Update(\"late\"); });"),
                new(CellKind.Code, "b", "go.Set(); late.Wait();"),
            ],
        };
        (await new NotebookRunner(TestMagics.Session).RunAsync(document, new())).Failure.ShouldBeNull();
        document.Cells[0].Outputs.Select(TestRun.Plain).ShouldBe(["mine"]);
    }

    [Theory]
    [InlineData("var name = input(\"Name?\");", "input(\"Name?\"): nobody can answer here")]
    [InlineData("password()", "password(): nobody can answer here")]
    [InlineData("Console.ReadLine()", "Console.ReadLine(): nobody can answer here")]
    [InlineData("await Console.In.ReadToEndAsync()", "Console.In: nobody can answer here")]
    public async Task A_cell_that_asks_where_nobody_can_answer_fails_in_one_line(string code, string problem)
    {
        var error = await _run.Error(code);
        error.ShouldStartWith($"cell 1, line 1: {problem}");
        error.ShouldNotContain('\n');
    }

    [Theory]
    [InlineData("for (var i = 0; i < 1_200_000; i++) Console.Write(\"12345678\");")]
    [InlineData("Console.Write(new string('€', 4 << 20));")]
    [InlineData("Console.Write(string.Concat(Enumerable.Repeat(\"🙂\", 3 << 20)));")]
    public async Task Text_without_end_is_bounded_and_says_so_once(string code)
    {
        var (result, outputs) = await _run.Cell(code + " display(1);");
        result.Succeeded.ShouldBeTrue();
        outputs.Count.ShouldBe(3);
        var text = outputs[0].ShouldBeOfType<StreamOutput>().Text;
        System.Text.Encoding.UTF8.GetByteCount(text).ShouldBeInRange((8 << 20) - 3, 8 << 20);
        char.IsHighSurrogate(text[^1]).ShouldBeFalse();
        outputs[1].ShouldBe(new StreamOutput("stderr", "\n[a cell shows at most 8 MiB of text: what it writes from here on is left out]\n"));
        TestRun.Plain(outputs[2]).ShouldBe("1");
    }

    [Fact]
    public async Task A_cell_that_clears_what_it_wrote_may_write_on()
        => (await _run.Text("for (var i = 0; i < 5; i++) { clear(); Console.Write(new string((char)('a' + i), 6 << 20)); }")).ShouldBe(new string('e', 6 << 20));
}
