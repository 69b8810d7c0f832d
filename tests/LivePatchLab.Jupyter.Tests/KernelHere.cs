using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>A frontend with a kernel in the test's own process: what ends the kernel ends the test.</summary>
internal sealed class KernelHere() : JupyterClient(folder => new Running(folder))
{
    /// <summary>Waits for the end of a kernel that was told to end.</summary>
    public void End() => ((Running)Kernel).Dispose();

    protected override string Errors() => "among the test's own output";

    private sealed class Running : IDisposable
    {
        private readonly KernelServer _server;
        private bool _ended;

        public Running(ConnectionFolder folder)
            => _server = new(ConnectionFile.Read(folder.File), new NotebookSession(LabMagics.Table(), new CSharpSession(CSharpSessionOptions.Lab)), MemoryCeiling.From(null));

        public void Dispose()
        {
            if (_ended) return;
            _ended = true;
            _server.Stop();
            _server.WaitForShutdown();
        }
    }
}
