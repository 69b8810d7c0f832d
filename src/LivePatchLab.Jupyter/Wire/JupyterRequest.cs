using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>A message that somebody who knows the key has sent.</summary>
/// <param name="Identities">The way back through ROUTER sockets.</param>
/// <param name="Type">"execute_request".</param>
/// <param name="Header">As it came: it becomes the parent of all that answers it.</param>
/// <param name="Content">A JSON object.</param>
internal sealed record JupyterRequest(IReadOnlyList<byte[]> Identities, string Type, byte[] Header, JsonElement Content)
{
    public string Text(string name, string otherwise = "")
        => Content.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : otherwise;

    public bool Flag(string name, bool otherwise)
        => Content.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.ValueKind == JsonValueKind.True : otherwise;

    public int Number(string name, int otherwise)
        => Content.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : otherwise;
}

/// <summary>What answers a request: its type, its content, and whether it says that the request failed.</summary>
internal sealed record JupyterReply(string Type, JsonObject Content)
{
    public static JupyterReply Ok(string type, JsonObject content)
    {
        content["status"] = "ok";
        return new(type, content);
    }

    public static JupyterReply Error(string type, string name, string text, params IEnumerable<string> lines)
        => new(type, ErrorContent("error", name, text, lines));

    public static JsonObject ErrorContent(string? status, string name, string text, IEnumerable<string> lines)
    {
        var content = new JsonObject { ["ename"] = name, ["evalue"] = text, ["traceback"] = new JsonArray([.. lines.Select(line => (JsonNode)line)]) };
        if (status is not null) content["status"] = status;
        return content;
    }
}
