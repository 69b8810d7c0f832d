using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace LivePatchLab.Frontends.Tests;

/// <summary>A classic notebook server on this computer only, with a token.</summary>
internal sealed class NotebookServer : IDisposable
{
    private static readonly TimeSpan LongestStart = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(30);

    private readonly string _token = Guid.NewGuid().ToString("N");
    private readonly StringBuilder _log = new();
    private readonly Process _process;
    private readonly string _address;

    private NotebookServer(JupyterHome jupyter)
    {
        Notebooks = jupyter.NewFolder("notebooks");
        var script = Path.Combine(LabFolder.Root, "tests", "LivePatchLab.Frontends.Tests", "notebook_server.py");
        var start = jupyter.Python(
            script, "--no-browser", "--ip=127.0.0.1", $"--port={FreePort()}", $"--notebook-dir={Notebooks}", "--allow-root", "--NotebookApp.terminals_enabled=False");
        // Not among the arguments, which everybody on this computer can read.
        start.Environment["JUPYTER_TOKEN"] = _token;
        _process = Process.Start(start)!;
        _process.OutputDataReceived += Log;
        _process.ErrorDataReceived += Log;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        try
        {
            _address = WaitForAddress(Path.Combine(jupyter.NewFolder("runtime"), $"nbserver-{_process.Id}.json"));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The folder that it serves.</summary>
    public string Notebooks { get; }

    public string AllSaid
    {
        get
        {
            lock (_log) return _log.ToString();
        }
    }

    public static NotebookServer Start(JupyterHome jupyter) => new(jupyter);

    /// <summary>Where a notebook of its folder is opened.</summary>
    public string AddressOf(string notebook) => $"{_address}notebooks/{notebook}?token={_token}";

    /// <summary>Its input ends; that is how it is asked to end its kernels and itself.</summary>
    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(LongestEnd)) _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The server writes the file when it listens. Should somebody have taken the port meanwhile, it has another, which stands in the file.</summary>
    private string WaitForAddress(string file)
    {
        for (var waited = Stopwatch.StartNew(); waited.Elapsed < LongestStart; Thread.Sleep(50))
        {
            if (_process.HasExited) throw new InvalidOperationException($"the notebook server ended with {_process.ExitCode}:\n{AllSaid}");
            if (File.Exists(file) && Address(File.ReadAllText(file)) is { } address) return address;
        }

        throw new TimeoutException($"the notebook server does not listen:\n{AllSaid}");
    }

    /// <summary>Null while the file is half written.</summary>
    private static string? Address(string text)
    {
        try
        {
            return JsonDocument.Parse(text).RootElement.GetProperty("url").GetString();
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Log(object sender, DataReceivedEventArgs line)
    {
        lock (_log) _log.AppendLine(line.Data);
    }
}
