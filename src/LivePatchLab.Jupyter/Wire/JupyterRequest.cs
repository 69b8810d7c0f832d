using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>A message that somebody who knows the key has sent.</summary>
/// <param name="Identities">The way back through ROUTER sockets.</param>
/// <param name="Type">"execute_request".</param>
/// <param name="Header">As it came: it becomes the parent of all that answers it.</param>
/// <param name="ParentId">What it says it answers; null where it says nothing.</param>
/// <param name="Content">A JSON object; an empty one where there is a <paramref name="Problem"/>.</param>
/// <param name="Problem">Why its content cannot be read; null when it can.</param>
internal sealed record JupyterRequest(IReadOnlyList<byte[]> Identities, string Type, byte[] Header, string? ParentId, JsonElement Content, string? Problem)
{
    /// <summary>A member that must be there.</summary>
    /// <exception cref="BadContentException">It is not, or is no text.</exception>
    public string Text(string name) => Member(name, JsonValueKind.String) is { } value ? Unicode(name, value) : throw new BadContentException($"{name} is missing");

    /// <exception cref="BadContentException">The member is there and no text.</exception>
    public string Text(string name, string otherwise) => Member(name, JsonValueKind.String) is { } value ? Unicode(name, value) : otherwise;

    /// <exception cref="BadContentException">The member is there and neither true nor false.</exception>
    public bool Flag(string name, bool otherwise) => Member(name, JsonValueKind.True, JsonValueKind.False) is { } value ? value.ValueKind == JsonValueKind.True : otherwise;

    /// <exception cref="BadContentException">The member is there and no whole number of 32 bits.</exception>
    public int Number(string name, int otherwise)
        => Member(name, JsonValueKind.Number) is not { } value ? otherwise
            : value.TryGetInt32(out var number) ? number : throw new BadContentException($"{name} is no whole number of 32 bits");

    /// <summary>A member of one of some kinds; null when it is not there. JSON's null is how Python says that.</summary>
    /// <exception cref="BadContentException">It is of another kind.</exception>
    public JsonElement? Member(string name, params ReadOnlySpan<JsonValueKind> kinds)
        => !Content.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
            : kinds.Contains(value.ValueKind) ? value
            : throw new BadContentException($"{name} is {Kind(value.ValueKind)}, and must be {Kind(kinds[0])}");

    /// <summary>The text of a member that is known to be one.</summary>
    /// <exception cref="BadContentException">It holds half a surrogate pair, which JSON can write and no text can hold.</exception>
    public static string Unicode(string name, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new BadContentException($"{name} holds text that is no Unicode");
        }
    }

    private static string Kind(JsonValueKind kind) => kind switch
    {
        JsonValueKind.String => "text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        _ => "true or false",
    };
}

/// <summary>A request whose content is not of the shape that the protocol gives it.</summary>
internal sealed class BadContentException(string problem) : Exception(problem);

/// <summary>What answers a request: its type, its content, and whether it says that the request failed.</summary>
internal sealed record JupyterReply(string Type, JsonObject Content)
{
    public bool Succeeded => Content["status"]?.GetValue<string>() == "ok";

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
