using Microsoft.Playwright;
using Xunit.Abstractions;
using static Microsoft.Playwright.Assertions;

namespace LivePatchLab.Frontends.Tests;

/// <summary>The classic notebook (6.4.12 in Debian 12) in headless Chromium.</summary>
[Collection("Frontends")]
public sealed class ClassicNotebookTests(FrontendSession session, ITestOutputHelper log)
{
    private const string Sweep = "#!sweep --engines stop_machine,ftrace_2012,text_poke_bp,text_poke_bp_list --sites 1,10,100,1000 --cpus 4 --seeds 1 --name bySites";
    private const string Plot = "#!plot --of bySites --x sites --y syncRounds --log --title \"Three rounds a site, or three\"";

    [FrontendFact("jupyter-notebook", "chromium")]
    public async Task A_notebook_runs_is_interrupted_and_restarted()
    {
        var notebook = await session.OpenAsync("patching.ipynb", LabNotebook.Of("var kept = 42;", Sweep, Plot));
        var plot = notebook.Cells.Nth(2);
        await notebook.RunAllAsync();
        (await LinesDrawnAsync(plot)).ShouldBe(4, "one for each protocol");
        await plot.ScrollIntoViewIfNeededAsync();
        await notebook.Page.KeepAsync("classic-plot");

        var loop = await notebook.StartAsync("Console.Write(\"on\");\nwhile (true) { }");
        await Expect(loop.Locator(".output_stdout")).ToHaveTextAsync("on");
        await notebook.InterruptAsync();
        await notebook.WaitForEndAsync(loop);
        log.WriteLine(await ErrorAsync(loop));
        (await ErrorAsync(loop)).ShouldContain("interrupted");
        await notebook.Page.KeepAsync("classic-interrupted");
        await Expect((await notebook.RunAsync("kept")).Locator(".output_result")).ToHaveTextAsync("42");

        await notebook.RestartAsync();
        (await LinesDrawnAsync(plot)).ShouldBe(0);
        (await ErrorAsync(await notebook.RunAsync("kept + 1"))).ShouldContain("'kept'");
        await notebook.RunAllAboveAsync(loop);
        (await LinesDrawnAsync(plot)).ShouldBe(4);
        await Expect((await notebook.RunAsync("kept + 2")).Locator(".output_result")).ToHaveTextAsync("44");
        notebook.Page.Hosts.ShouldBe(["127.0.0.1"]);
    }

    [FrontendFact("jupyter-notebook", "chromium")]
    public async Task The_first_errors_of_a_user_are_one_line_each()
    {
        var notebook = await session.OpenAsync("errors.ipynb", LabNotebook.Of("1 + 1"));
        await ShouldSayAsync("#!machin --cpus 4", "Did you mean #!machine?");
        await ShouldSayAsync("#!machine --model sdm-wurst", "Did you mean sdm-worst?");
        await ShouldSayAsync("int[] a = new int[1];\na[3] = 1;", "line 2: IndexOutOfRangeException: Index was outside the bounds of the array.");
        await ShouldSayAsync("Console.WritLine(1);", "'WritLine'");
        await ShouldSayAsync("#!patch --engine text_poke_pb", "Did you mean text_poke_bp?");
        await notebook.Page.KeepAsync("classic-errors");
        notebook.Page.Hosts.ShouldBe(["127.0.0.1"]);

        async Task ShouldSayAsync(string code, string expected)
        {
            var said = await ErrorAsync(await notebook.RunAsync(code));
            log.WriteLine($"{code}\n    {said}\n");
            said.ShouldContain(expected);
        }
    }

    [FrontendFact("jupyter-notebook", "chromium")]
    public async Task A_cell_asks_its_user()
    {
        var notebook = await session.OpenAsync("asking.ipynb", LabNotebook.Of("1 + 1"));
        var cell = await notebook.StartAsync("var name = input(\"name? \");\n$\"hello, {name}\"");
        var asked = cell.Locator(".raw_input_prompt, .output_error");
        await Expect(asked).ToBeVisibleAsync();
        (await asked.InnerTextAsync()).Trim().ShouldBe("name?");
        await cell.Locator("input.raw_input").FillAsync("Petr");
        await cell.Locator("input.raw_input").PressAsync("Enter");
        await notebook.WaitForEndAsync(cell);
        await Expect(cell.Locator(".output_result")).ToHaveTextAsync("hello, Petr");
    }

    /// <summary>How many lines of a plot can be seen, each of a good part of its width.</summary>
    private static async Task<int> LinesDrawnAsync(ILocator cell)
    {
        var lines = cell.Locator("svg path[stroke-width='2']");
        var drawn = 0;
        for (var i = 0; i < await lines.CountAsync(); i++)
            if (await lines.Nth(i).BoundingBoxAsync() is { Width: > 300 }) drawn++;
        return drawn;
    }

    /// <summary>The error below a cell, which must be one line.</summary>
    private static async Task<string> ErrorAsync(ILocator cell)
    {
        var error = cell.Locator(".output_error");
        await Expect(error).ToHaveCountAsync(1);
        var text = (await error.InnerTextAsync()).Trim();
        text.Split('\n').ShouldHaveSingleItem();
        return text;
    }
}
