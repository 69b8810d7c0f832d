using LivePatchLab.Notebooks;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LivePatchLab.Frontends.Tests;

/// <summary>The pages that notebooks become, in headless Chromium.</summary>
[Collection("Frontends")]
public sealed class ExportedPageTests(FrontendSession session)
{
    [FrontendTheory("chromium")]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task A_page_of_the_labs_draws_its_plots_without_a_network(ColorScheme scheme)
    {
        var source = Path.Combine(LabFolder.Root, "notebooks", "02-sync-cost.ipynb");
        var file = Path.Combine(session.Jupyter.NewFolder("pages"), $"{scheme}.html");
        await File.WriteAllTextAsync(file, HtmlPage.Write(NotebookDocument.Read(source), "02-sync-cost", Path.GetDirectoryName(source)!));
        var page = await session.NewPageAsync(scheme);
        await page.Page.GotoAsync(new Uri(file).AbsoluteUri);
        var plot = page.Page.Locator(".js-plotly-plot").First;
        await plot.ScrollIntoViewIfNeededAsync();
        await Expect(plot.Locator(".scatterlayer path.js-line")).ToHaveCountAsync(4);
        (await plot.BoundingBoxAsync())!.Width.ShouldBeInRange(500, 800);
        await page.KeepAsync($"page-plot-{scheme}".ToLowerInvariant());
        await page.KeepAsync($"page-{scheme}".ToLowerInvariant(), whole: true);
        page.Hosts.ShouldBeEmpty();
    }

    [FrontendFact("chromium")]
    public async Task What_a_page_asks_of_another_computer_is_seen_and_not_answered()
    {
        var page = await session.NewPageAsync();
        var refusal = new TaskCompletionSource<string?>();
        page.Page.RequestFailed += (_, request) => refusal.TrySetResult(request.Failure);
        await page.Page.SetContentAsync("<img src='http://example.com/picture.png'>");
        (await refusal.Task.WaitAsync(TimeSpan.FromMinutes(2))).ShouldBe("net::ERR_NAME_NOT_RESOLVED");
        page.Hosts.ShouldBe(["example.com"]);
    }
}
