using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>A message as a frontend sees it.</summary>
internal sealed record Received(JsonObject Header, JsonObject Parent, JsonObject Content)
{
    public string Type => Header["msg_type"]!.GetValue<string>();

    public string? ParentId => Parent["msg_id"]?.GetValue<string>();

    public string this[string name] => Content[name]?.ToString() ?? "";
}

/// <summary>What one request brought: its reply, and what all frontends heard about it, from busy to idle.</summary>
internal sealed record Answer(Received Reply, IReadOnlyList<Received> Heard)
{
    public string Status => Reply["status"];

    /// <summary>The text that the cell wrote and showed, the value of its last expression included.</summary>
    public string Text => string.Concat(Heard.Select(message => message.Type switch
    {
        "stream" => message["text"],
        "display_data" or "update_display_data" or "execute_result" => message.Content["data"]!["text/plain"]!.GetValue<string>(),
        _ => "",
    }));
}

/// <summary>A frontend with a kernel of its own: a process of the program, as Jupyter starts it. It signs by itself, not by the kernel's code.</summary>
internal sealed class JupyterClient : IDisposable
{
    private const int LongestWait = 120_000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lp-");
    private readonly byte[] _key = Encoding.ASCII.GetBytes(Guid.NewGuid().ToString());
    private readonly nint _context = Zmq.NewContext();
    private readonly StringBuilder _errors = new();
    private readonly ZmqSocket _iopub;
    private int _sent;

    public JupyterClient(int? parent = null)
    {
        var ip = Path.Combine(_folder.FullName, "k");
        var file = Path.Combine(_folder.FullName, "connection.json");
        File.WriteAllText(file, new JsonObject
        {
            ["transport"] = "ipc",
            ["ip"] = ip,
            ["signature_scheme"] = "hmac-sha256",
            ["key"] = Encoding.ASCII.GetString(_key),
            ["shell_port"] = 1,
            ["iopub_port"] = 2,
            ["stdin_port"] = 3,
            ["control_port"] = 4,
            ["hb_port"] = 5,
        }.ToJsonString());
        var start = new ProcessStartInfo(Program, ["jupyter", "kernel", file]) { RedirectStandardError = true, RedirectStandardOutput = true };
        if (parent is not null) start.Environment["JPY_PARENT_PID"] = parent.Value.ToString(CultureInfo.InvariantCulture);
        Process = Process.Start(start)!;
        Process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors) _errors.AppendLine(line.Data);
        };
        Process.BeginErrorReadLine();
        Shell = Connect(Zmq.Dealer, 1);
        Control = Connect(Zmq.Dealer, 4);
        Heartbeat = Connect(Zmq.Req, 5);
        _iopub = Connect(Zmq.Sub, 2).Set(Zmq.Subscribe, ""u8);
        // From the welcome on, nothing that the kernel says is missed.
        Received said;
        do said = ReceiveIOPub();
        while (said.Type != "iopub_welcome");

        ZmqSocket Connect(int type, int port) => new ZmqSocket(_context, type).Set(Zmq.ReceiveTimeout, LongestWait).Set(Zmq.Linger, 0).Connect($"ipc://{ip}-{port}");
    }

    public static string Program { get; } = Path.Combine(
        LabFolder.Root, "src", "LivePatchLab.Cli", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "livepatch");

    public Process Process { get; }

    public ZmqSocket Shell { get; }

    public ZmqSocket Control { get; }

    public ZmqSocket Heartbeat { get; }

    public Answer Ask(string type, JsonObject? content = null, ZmqSocket? channel = null) => Hear(Send(type, content, channel), channel);

    public Answer Execute(string code, bool silent = false) => Ask("execute_request", new() { ["code"] = code, ["silent"] = silent });

    /// <summary>Sends a request; the answer is its id.</summary>
    public string Send(string type, JsonObject? content = null, ZmqSocket? channel = null)
    {
        var frames = Frames(type, content ?? [], out var id);
        (channel ?? Shell).Send(frames);
        return id;
    }

    /// <summary>The frames of a request that is signed as it should be.</summary>
    public List<byte[]> Frames(string type, JsonObject content, out string id)
    {
        id = $"request-{++_sent}";
        var header = new JsonObject { ["msg_id"] = id, ["msg_type"] = type, ["session"] = "test", ["username"] = "test", ["version"] = "5.3", ["date"] = "2024-01-01T00:00:00Z" };
        return Signed(header.ToJsonString(), "{}", "{}", content.ToJsonString());
    }

    public List<byte[]> Signed(params string[] parts)
    {
        byte[][] bytes = [.. parts.Select(Encoding.UTF8.GetBytes)];
        return ["<IDS|MSG>"u8.ToArray(), Signature(bytes), .. bytes];
    }

    /// <summary>The reply to a request, and what was heard of it.</summary>
    public Answer Hear(string id, ZmqSocket? channel = null)
    {
        var reply = Parse((channel ?? Shell).Receive());
        reply.ParentId.ShouldBe(id);
        return new(reply, HearUntilIdle(id));
    }

    public IReadOnlyList<Received> HearUntilIdle(string id)
    {
        var heard = new List<Received>();
        do heard.Add(HearOf(id));
        while (heard[^1].Type != "status" || heard[^1]["execution_state"] != "idle");
        heard[0]["execution_state"].ShouldBe("busy");
        return heard;
    }

    /// <summary>What is said next about a request.</summary>
    public Received HearOf(string id)
    {
        while (true)
            if (ReceiveIOPub() is var said && said.ParentId == id) return said;
    }

    public void Dispose()
    {
        if (!Process.HasExited) Process.Kill();
        Process.WaitForExit();
        Process.Dispose();
        foreach (var socket in (ZmqSocket[])[Shell, Control, Heartbeat, _iopub]) socket.Dispose();
        _ = Zmq.TerminateContext(_context);
        _folder.Delete(recursive: true);
    }

    private Received ReceiveIOPub() => Parse(_iopub.Receive());

    private Received Parse(IReadOnlyList<byte[]>? frames)
    {
        if (frames is null)
        {
            lock (_errors) throw new TimeoutException($"the kernel says nothing; its stderr: {_errors}");
        }

        var at = frames.Index().First(frame => frame.Item.AsSpan().SequenceEqual("<IDS|MSG>"u8)).Index;
        byte[][] parts = [.. frames.Skip(at + 2)];
        Encoding.ASCII.GetString(frames[at + 1]).ShouldBe(Encoding.ASCII.GetString(Signature(parts)));
        return new(Json(parts[0]), Json(parts[1]), Json(parts[3]));

        static JsonObject Json(byte[] bytes) => JsonNode.Parse(bytes)!.AsObject();
    }

    private byte[] Signature(byte[][] parts) => Encoding.ASCII.GetBytes(Convert.ToHexStringLower(HMACSHA256.HashData(_key, parts.SelectMany(part => part).ToArray())));
}
