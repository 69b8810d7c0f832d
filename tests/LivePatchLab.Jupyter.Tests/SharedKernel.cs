namespace LivePatchLab.Jupyter.Tests;

/// <summary>One kernel for the tests that leave it as it was. Started when the first of them asks, since without libzmq none does.</summary>
public sealed class SharedKernel : IDisposable
{
    private JupyterClient? _client;

    internal JupyterClient Client => _client ??= new();

    public void Dispose() => _client?.Dispose();
}
