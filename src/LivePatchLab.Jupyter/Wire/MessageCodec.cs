using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>Jupyter's framing: identities, a delimiter, a signature, then header, parent header, metadata and content as JSON.</summary>
internal sealed class MessageCodec(byte[] key)
{
    public const string Version = "5.3";

    private const int SignedFrames = 4;

    /// <summary>How many signatures are remembered: a message that comes again with one of them is a replay.</summary>
    private const int RememberedMax = 65_536;

    private static readonly JsonElement Empty = JsonElement.Parse("{}");

    private readonly Lock _lock = new();
    private readonly string _session = Guid.NewGuid().ToString("N");
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();
    private long _sent;

    private static ReadOnlySpan<byte> Delimiter => "<IDS|MSG>"u8;

    /// <summary>The request in some frames, or null and the reason why they are none.</summary>
    public JupyterRequest? Read(IReadOnlyList<byte[]> frames, out string reason)
    {
        var at = 0;
        while (at < frames.Count && !frames[at].AsSpan().SequenceEqual(Delimiter)) at++;
        if (frames.Count < at + 2 + SignedFrames)
        {
            reason = "frames are missing";
            return null;
        }

        byte[][] signed = [.. frames.Skip(at + 2).Take(SignedFrames)];
        var signature = Sign(signed);
        // In constant time, so that nobody learns a signature byte by byte.
        if (!CryptographicOperations.FixedTimeEquals(signature, frames[at + 1]))
        {
            reason = "its signature is wrong";
            return null;
        }

        if (!IsNew(Encoding.ASCII.GetString(signature)))
        {
            reason = "it came before";
            return null;
        }

        return Parse([.. frames.Take(at)], signed, out reason);
    }

    /// <summary>The frames of one message.</summary>
    public IReadOnlyList<byte[]> Write(IReadOnlyList<byte[]> identities, string type, byte[]? parent, JsonObject content) => Write(identities, type, parent, content, out _);

    /// <summary>As the other; tells the message's id too.</summary>
    public IReadOnlyList<byte[]> Write(IReadOnlyList<byte[]> identities, string type, byte[]? parent, JsonObject content, out string id)
    {
        id = string.Create(CultureInfo.InvariantCulture, $"{_session}_{Interlocked.Increment(ref _sent)}");
        var header = new JsonObject
        {
            ["msg_id"] = id,
            ["session"] = _session,
            ["username"] = "kernel",
            ["date"] = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture),
            ["msg_type"] = type,
            ["version"] = Version,
        };
        byte[][] signed = [Bytes(header), parent ?? "{}"u8.ToArray(), "{}"u8.ToArray(), Bytes(content)];
        return [.. identities, Delimiter.ToArray(), Sign(signed), .. signed];
    }

    /// <summary>What a signed message says. With a header that can be read, its sender is known and can be told what is wrong with the rest.</summary>
    private static JupyterRequest? Parse(IReadOnlyList<byte[]> identities, byte[][] signed, out string reason)
    {
        reason = "its header has no msg_type";
        if (Json(signed[0], "header", out var problem) is not { } header)
        {
            reason = problem!;
            return null;
        }

        if (!header.TryGetProperty("msg_type", out var type) || type.ValueKind != JsonValueKind.String || !TryText(type, out var name)) return null;
        var parent = Json(signed[1], "parent header", out var parentProblem);
        var content = Json(signed[3], "content", out problem);
        string? parentId = null;
        if (parent?.TryGetProperty("msg_id", out var id) == true && (id.ValueKind != JsonValueKind.String || !TryText(id, out parentId))) parentProblem = "its parent header has a msg_id that is no text";
        return new(identities, name!, signed[0], parentId, content ?? Empty, problem ?? parentProblem);
    }

    /// <summary>The object that a frame holds; it outlives its document. Null and the reason when it holds none.</summary>
    private static JsonElement? Json(byte[] frame, string what, out string? problem)
    {
        problem = $"its {what} is not JSON";
        // The parser looks at a text's bytes only when the text is asked for, and a header goes out again as it came in.
        if (!System.Text.Unicode.Utf8.IsValid(frame)) return null;
        try
        {
            using var document = JsonDocument.Parse(frame);
            // A name may be written with half a surrogate pair, and then looking for any other name throws.
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                foreach (var member in document.RootElement.EnumerateObject()) _ = member.Name;
            problem = document.RootElement.ValueKind == JsonValueKind.Object ? null : $"its {what} is no JSON object";
            return problem is null ? document.RootElement.Clone() : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static bool TryText(JsonElement value, out string? text)
    {
        try
        {
            text = value.GetString();
            return true;
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair: JSON can write it, and no text can hold it.
            text = null;
            return false;
        }
    }

    private static byte[] Bytes(JsonObject json) => JsonSerializer.SerializeToUtf8Bytes((JsonNode)json);

    private byte[] Sign(byte[][] frames)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        foreach (var frame in frames) hash.AppendData(frame);
        return Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private bool IsNew(string signature)
    {
        lock (_lock)
        {
            if (!_seen.Add(signature)) return false;
            _order.Enqueue(signature);
            if (_order.Count > RememberedMax) _seen.Remove(_order.Dequeue());
            return true;
        }
    }
}
