using System.Text;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>A connection file as Jupyter writes it, in a folder of its own where the sockets are too.</summary>
internal sealed class ConnectionFolder : IDisposable
{
    public const int ShellPort = 1, IOPubPort = 2, StdinPort = 3, ControlPort = 4, HeartbeatPort = 5;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lp-");

    public ConnectionFolder()
    {
        File = Path.Combine(_folder.FullName, "connection.json");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var file = new FileStream(File, options);
        file.Write(Encoding.UTF8.GetBytes(new JsonObject
        {
            ["transport"] = "ipc",
            ["ip"] = Ip,
            ["signature_scheme"] = "hmac-sha256",
            ["key"] = Encoding.ASCII.GetString(Key),
            ["shell_port"] = ShellPort,
            ["iopub_port"] = IOPubPort,
            ["stdin_port"] = StdinPort,
            ["control_port"] = ControlPort,
            ["hb_port"] = HeartbeatPort,
        }.ToJsonString()));
    }

    public string File { get; }

    public byte[] Key { get; } = Encoding.ASCII.GetBytes(Guid.NewGuid().ToString());

    private string Ip => Path.Combine(_folder.FullName, "k");

    public string Endpoint(int port) => $"ipc://{Ip}-{port}";

    public void Dispose() => _folder.Delete(recursive: true);
}
