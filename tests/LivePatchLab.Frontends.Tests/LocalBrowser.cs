using Microsoft.Playwright;

namespace LivePatchLab.Frontends.Tests;

/// <summary>Headless Chromium, which reaches this computer only.</summary>
internal sealed class LocalBrowser : IAsyncDisposable
{
    private const float LongestWait = 120_000;

    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;

    private LocalBrowser(IPlaywright playwright, IBrowser browser) => (_playwright, _browser) = (playwright, browser);

    public static async Task<LocalBrowser> StartAsync()
    {
        Assertions.SetDefaultExpectTimeout(LongestWait);
        var playwright = await Playwright.CreateAsync();
        try
        {
            // No name but this computer's is resolved, not even for what the browser does on its own account.
            return new(playwright, await playwright.Chromium.LaunchAsync(new()
            {
                ExecutablePath = Debian.Chromium,
                Args = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking"],
                Timeout = LongestWait,
            }));
        }
        catch
        {
            playwright.Dispose();
            throw;
        }
    }

    /// <summary>A new page of 800 pixels' width that shares nothing with others.</summary>
    public async Task<LocalPage> NewPageAsync(ColorScheme scheme)
    {
        var context = await _browser.NewContextAsync(new() { ViewportSize = new() { Width = 800, Height = 900 }, ColorScheme = scheme });
        context.SetDefaultTimeout(LongestWait);
        context.SetDefaultNavigationTimeout(LongestWait);
        return new(await context.NewPageAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }
}
