namespace LivePatchLab.Jupyter.Tests;

/// <summary>One kernel for the tests that leave it as it was. Started when the first of them asks, since without libzmq none does.</summary>
public sealed class SharedKernel : IDisposable
{
    private KernelProcess? _client;

    internal KernelProcess Client => _client ??= new();

    public void Dispose() => _client?.Dispose();
}
