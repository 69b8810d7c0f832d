using LivePatchLab.Notebooks;
using Microsoft.Playwright;

namespace LivePatchLab.Frontends.Tests;

/// <summary>One Jupyter, one notebook server and one browser for all tests. Each is started when the first test asks for it, since without the programs none does.</summary>
public sealed class FrontendSession : IAsyncLifetime
{
    private NotebookServer? _server;
    private LocalBrowser? _browser;

    public JupyterHome Jupyter { get; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _server?.Dispose();
        Jupyter.Dispose();
    }

    /// <summary>Writes a notebook into the server's folder and opens it.</summary>
    internal async Task<ClassicNotebook> OpenAsync(string name, NotebookDocument document)
    {
        _server ??= NotebookServer.Start(Jupyter);
        document.Write(Path.Combine(_server.Notebooks, name));
        return await ClassicNotebook.OpenAsync(await NewPageAsync(), _server.AddressOf(name));
    }

    internal async Task<LocalPage> NewPageAsync(ColorScheme scheme = ColorScheme.Light)
    {
        _browser ??= await LocalBrowser.StartAsync();
        return await _browser.NewPageAsync(scheme);
    }
}

/// <summary>They run one after another: each starts more than enough processes by itself.</summary>
[CollectionDefinition("Frontends")]
public sealed class FrontendTests : ICollectionFixture<FrontendSession>;
