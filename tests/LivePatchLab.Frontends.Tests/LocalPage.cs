using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace LivePatchLab.Frontends.Tests;

/// <summary>A page of the browser that keeps a list of the hosts which it asks something of.</summary>
internal sealed class LocalPage
{
    private readonly ConcurrentDictionary<string, bool> _hosts = new();

    public LocalPage(IPage page)
    {
        Page = page;
        page.Request += (_, request) => Note(request.Url);
        page.WebSocket += (_, socket) => Note(socket.Url);
    }

    public IPage Page { get; }

    public IEnumerable<string> Hosts => _hosts.Keys.Order(StringComparer.Ordinal);

    /// <summary>Takes a picture, which is kept under artifacts for people to look at.</summary>
    public async Task KeepAsync(string name, bool whole = false)
        => await Page.ScreenshotAsync(new() { Path = Path.Combine(LabFolder.Root, "artifacts", "screenshots", name + ".png"), FullPage = whole });

    /// <summary>Addresses of files and of data inside the page have no host.</summary>
    private void Note(string url)
    {
        if (new Uri(url).Host is { Length: > 0 } host) _hosts.TryAdd(host, true);
    }
}
