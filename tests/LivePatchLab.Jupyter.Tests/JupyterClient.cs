using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>A message as a frontend sees it.</summary>
internal sealed record Received(JsonObject Header, JsonObject Parent, JsonObject Content)
{
    public string Type => Header["msg_type"]!.GetValue<string>();

    /// <summary>Null where it is no text: the header of a hostile message comes back as it was.</summary>
    public string? ParentId => Parent["msg_id"] is JsonValue id && id.GetValueKind() == JsonValueKind.String && !id.GetValue<JsonElement>().GetRawText().Contains("\\ud", StringComparison.Ordinal) ? id.GetValue<string>() : null;

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

/// <summary>A frontend with a kernel of its own. It signs by itself, not by the kernel's code.</summary>
internal abstract class JupyterClient : IDisposable
{
    private const int LongestWait = 120_000;

    private readonly nint _context = Zmq.NewContext();
    private readonly ConnectionFolder _folder = new();
    private readonly ZmqSocket _iopub;
    private int _sent;

    /// <param name="start">Starts a kernel that listens where the connection file says; what is returned ends it.</param>
    protected JupyterClient(Func<ConnectionFolder, IDisposable> start)
    {
        Kernel = start(_folder);
        Shell = Connect(Zmq.Dealer, ConnectionFolder.ShellPort, "frontend");
        Control = Connect(Zmq.Dealer, ConnectionFolder.ControlPort, "frontend");
        Stdin = Connect(Zmq.Dealer, ConnectionFolder.StdinPort, "frontend");
        Heartbeat = Connect(Zmq.Req, ConnectionFolder.HeartbeatPort, "");
        _iopub = Connect(Zmq.Sub, ConnectionFolder.IOPubPort, "").Set(Zmq.Subscribe, ""u8);
        // From the welcome on, nothing that the kernel says is missed.
        Received said;
        do said = ReceiveIOPub();
        while (said.Type != "iopub_welcome");
    }

    protected IDisposable Kernel { get; }

    public ZmqSocket Shell { get; }

    public ZmqSocket Control { get; }

    public ZmqSocket Stdin { get; }

    public ZmqSocket Heartbeat { get; }

    /// <summary>Another socket of this frontend, or of another one.</summary>
    public ZmqSocket Connect(int type, int port, string identity)
    {
        var socket = new ZmqSocket(_context, type).Set(Zmq.ReceiveTimeout, LongestWait).Set(Zmq.Linger, 0);
        if (identity.Length > 0) socket.Set(Zmq.Identity, Encoding.ASCII.GetBytes(identity));
        return socket.Connect(_folder.Endpoint(port));
    }

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
        => Signed(Header(type, out id), "{}", "{}", content.ToJsonString());

    public List<byte[]> Signed(params string[] parts) => SignedBytes([.. parts.Select(Encoding.UTF8.GetBytes)]);

    public List<byte[]> SignedBytes(params byte[][] parts) => ["<IDS|MSG>"u8.ToArray(), Signature(parts), .. parts];

    /// <summary>Sends a request whose content may be anything; the answer is its id.</summary>
    public string SendRaw(string type, string content, ZmqSocket channel)
    {
        channel.Send(Signed(Header(type, out var id), "{}", "{}", content));
        return id;
    }

    /// <summary>
    /// Returns when all that was sent before has arrived in the kernel. Each side has one thread for all its connections: it has written, or read, a message of the
    /// shell before it comes to the second heartbeat.
    /// </summary>
    public void Settle()
    {
        for (var beat = 0; beat < 2; beat++)
        {
            Heartbeat.Send("settled?"u8.ToArray());
            Heartbeat.Receive().ShouldNotBeNull();
        }
    }

    /// <summary>The next message of a channel.</summary>
    public Received Next(ZmqSocket channel) => Parse(channel.Receive());

    /// <summary>The reply to a request, and what was heard of it.</summary>
    public Answer Hear(string id, ZmqSocket? channel = null, bool heardBusy = false)
    {
        var reply = Parse((channel ?? Shell).Receive());
        reply.ParentId.ShouldBe(id);
        return new(reply, HearUntilIdle(id, heardBusy));
    }

    public IReadOnlyList<Received> HearUntilIdle(string id, bool heardBusy = false)
    {
        var heard = new List<Received>();
        do heard.Add(HearOf(id));
        while (heard[^1].Type != "status" || heard[^1]["execution_state"] != "idle");
        if (!heardBusy) heard[0]["execution_state"].ShouldBe("busy");
        return heard;
    }

    /// <summary>What is said next about a request.</summary>
    public Received HearOf(string id)
    {
        while (true)
            if (ReceiveIOPub() is var said && said.ParentId == id) return said;
    }

    public virtual void Dispose()
    {
        Kernel.Dispose();
        foreach (var socket in (ZmqSocket[])[Shell, Control, Stdin, Heartbeat, _iopub]) socket.Dispose();
        _ = Zmq.TerminateContext(_context);
        _folder.Dispose();
    }

    /// <summary>What the kernel has said on stderr, for the message of a test that fails.</summary>
    protected abstract string Errors();

    private string Header(string type, out string id)
    {
        id = $"request-{++_sent}";
        return new JsonObject { ["msg_id"] = id, ["msg_type"] = type, ["session"] = "test", ["username"] = "test", ["version"] = "5.3", ["date"] = "2024-01-01T00:00:00Z" }.ToJsonString();
    }

    private Received ReceiveIOPub() => Parse(_iopub.Receive());

    private Received Parse(IReadOnlyList<byte[]>? frames)
    {
        if (frames is null) throw new TimeoutException($"the kernel says nothing; its stderr: {Errors()}");
        var at = frames.Index().First(frame => frame.Item.AsSpan().SequenceEqual("<IDS|MSG>"u8)).Index;
        byte[][] parts = [.. frames.Skip(at + 2)];
        Encoding.ASCII.GetString(frames[at + 1]).ShouldBe(Encoding.ASCII.GetString(Signature(parts)));
        return new(Json(parts[0]), Json(parts[1]), Json(parts[3]));

        static JsonObject Json(byte[] bytes) => JsonNode.Parse(bytes)!.AsObject();
    }

    private byte[] Signature(byte[][] parts) => Encoding.ASCII.GetBytes(Convert.ToHexStringLower(HMACSHA256.HashData(_folder.Key, parts.SelectMany(part => part).ToArray())));
}
