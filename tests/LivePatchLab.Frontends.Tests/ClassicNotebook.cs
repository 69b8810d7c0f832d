using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LivePatchLab.Frontends.Tests;

/// <summary>A notebook that is open in the classic frontend, worked as a user does: by its menus, its buttons and its cells.</summary>
internal sealed partial class ClassicNotebook(LocalPage local)
{
    public LocalPage Page => local;

    public ILocator Cells => Tab.Locator("#notebook-container > .cell");

    private IPage Tab => local.Page;

    public static async Task<ClassicNotebook> OpenAsync(LocalPage page, string address)
    {
        await page.Page.GotoAsync(address);
        var notebook = new ClassicNotebook(page);
        await page.Page.WaitForFunctionAsync("() => window.Jupyter?.notebook?.kernel?.is_connected() && Jupyter.notebook.kernel.info_reply.language_info !== undefined");
        await notebook.WaitUntilIdleAsync();
        return notebook;
    }

    public Task WaitUntilIdleAsync() => Expect(Tab.Locator("#kernel_indicator_icon.kernel_idle_icon")).ToBeVisibleAsync();

    /// <summary>Runs all cells, and waits until none of them waits or runs.</summary>
    public async Task RunAllAsync()
    {
        await MenuAsync("cell", "run_all_cells");
        await WaitForAllAsync();
    }

    /// <summary>The same for those above a cell.</summary>
    public async Task RunAllAboveAsync(ILocator cell)
    {
        await SelectAsync(cell);
        await MenuAsync("cell", "run_all_cells_above");
        await WaitForAllAsync();
    }

    /// <summary>Writes code into a new last cell and runs it; does not wait for its end.</summary>
    public async Task<ILocator> StartAsync(string code)
    {
        await SelectAsync(Cells.Last);
        await Tab.Locator("button[data-jupyter-action='jupyter-notebook:insert-cell-below']").ClickAsync();
        var cell = Cells.Nth(await Cells.CountAsync() - 1);
        await cell.Locator(".CodeMirror").ClickAsync();
        await Tab.Keyboard.InsertTextAsync(code);
        await Tab.Keyboard.PressAsync("Control+Enter");
        return cell;
    }

    /// <summary>The same, and waits until the cell has its number and all its output.</summary>
    public async Task<ILocator> RunAsync(string code)
    {
        var cell = await StartAsync(code);
        await WaitForEndAsync(cell);
        return cell;
    }

    public async Task WaitForEndAsync(ILocator cell)
    {
        await Expect(cell.Locator(".input_prompt")).ToHaveTextAsync(Numbered());
        await WaitUntilIdleAsync();
    }

    /// <summary>The toolbar's button with the square.</summary>
    public Task InterruptAsync() => Tab.Locator("button[data-jupyter-action='jupyter-notebook:interrupt-kernel']").ClickAsync();

    /// <summary>Restarts the kernel and clears all output, by the menu, and waits until the new kernel answers.</summary>
    public async Task RestartAsync()
    {
        // Listened for before it is asked for: the icon still shows the old kernel as idle.
        await Tab.EvaluateAsync("() => { window.restarted = new Promise(done => Jupyter.notebook.events.one('kernel_ready.Kernel', () => done())); }");
        await MenuAsync("kernel", "restart_clear_output");
        await Tab.Locator(".modal-dialog .btn-danger").ClickAsync();
        await Tab.EvaluateAsync("() => window.restarted");
        await Expect(Tab.Locator(".modal-dialog")).ToHaveCountAsync(0);
        await WaitUntilIdleAsync();
    }

    private async Task WaitForAllAsync()
    {
        await Expect(Cells.Locator(".input_prompt").Filter(new() { HasTextRegex = Starred() })).ToHaveCountAsync(0);
        await WaitUntilIdleAsync();
    }

    private static Task SelectAsync(ILocator cell) => cell.Locator(".input_prompt").ClickAsync();

    private async Task MenuAsync(string menu, string item)
    {
        await Tab.Locator($"#{menu}link").ClickAsync();
        await Tab.Locator($"#{item} > a").ClickAsync();
    }

    [GeneratedRegex(@"In\s\[\*\]:")]
    private static partial Regex Starred();

    [GeneratedRegex(@"In\s\[\d+\]:")]
    private static partial Regex Numbered();
}
