using System.Text;
using System.Text.Json;
using LivePatchLab.Linux;

namespace LivePatchLab.Jupyter;

/// <summary>Where a frontend expects the kernel's five sockets, and the key that signs what goes through them.</summary>
public sealed class ConnectionFile
{
    private const long LengthMax = 1 << 20;

    private readonly string _transport;
    private readonly string _ip;

    private ConnectionFile(string path, JsonElement json)
    {
        _transport = Text("transport");
        if (_transport is not ("tcp" or "ipc")) throw Bad($"transport '{_transport}' is neither tcp nor ipc");
        _ip = Text("ip");
        if (Text("signature_scheme") is var scheme and not "hmac-sha256") throw Bad($"signature_scheme '{scheme}' is not hmac-sha256");
        // Without a key, everybody on this computer could run code as this user.
        if (Text("key") is not { Length: > 0 } key) throw Bad("its key is empty, and the kernel takes no unsigned messages");
        Key = Encoding.UTF8.GetBytes(key);
        Shell = Endpoint("shell_port");
        Control = Endpoint("control_port");
        Stdin = Endpoint("stdin_port");
        IOPub = Endpoint("iopub_port");
        Heartbeat = Endpoint("hb_port");

        BadInputException Bad(string problem) => new($"{path}: {problem}");

        string Text(string name)
            => !json.TryGetProperty(name, out var value) ? throw Bad($"it has no {name}")
                : value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Bad($"{name} is no text");

        string Endpoint(string name)
        {
            if (!json.TryGetProperty(name, out var value)) throw Bad($"it has no {name}");
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out var port) || port is < 1 or > 65535) throw Bad($"{name} is no port");
            return _transport == "ipc" ? $"ipc://{_ip}-{port}" : $"tcp://{_ip}:{port}";
        }
    }

    internal byte[] Key { get; }

    internal string Shell { get; }

    internal string Control { get; }

    internal string Stdin { get; }

    internal string IOPub { get; }

    internal string Heartbeat { get; }

    /// <exception cref="BadInputException">There is no such file, it is no connection file, or others could read its key; one line says what is wrong.</exception>
    public static ConnectionFile Read(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            if (ConnectionFileAccess.Problem(file.SafeFileHandle) is { } problem) throw new BadInputException($"{path}: {problem}");
            if (file.Length > LengthMax) throw new BadInputException($"{path}: too long for a connection file");
            using var json = JsonDocument.Parse(file);
            if (json.RootElement.ValueKind != JsonValueKind.Object) throw new BadInputException($"{path}: a connection file is a JSON object");
            return new(path, json.RootElement);
        }
        catch (JsonException e)
        {
            throw new BadInputException($"{path}: not JSON (line {e.LineNumber + 1})");
        }
        catch (InvalidOperationException)
        {
            throw new BadInputException($"{path}: it holds text that is no Unicode");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: {e.Message}");
        }
    }
}
