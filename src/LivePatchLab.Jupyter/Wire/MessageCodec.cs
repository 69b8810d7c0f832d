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
    public IReadOnlyList<byte[]> Write(IReadOnlyList<byte[]> identities, string type, byte[]? parent, JsonObject content)
    {
        var header = new JsonObject
        {
            ["msg_id"] = string.Create(CultureInfo.InvariantCulture, $"{_session}_{Interlocked.Increment(ref _sent)}"),
            ["session"] = _session,
            ["username"] = "kernel",
            ["date"] = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture),
            ["msg_type"] = type,
            ["version"] = Version,
        };
        byte[][] signed = [Bytes(header), parent ?? "{}"u8.ToArray(), "{}"u8.ToArray(), Bytes(content)];
        return [.. identities, Delimiter.ToArray(), Sign(signed), .. signed];
    }

    private static JupyterRequest? Parse(IReadOnlyList<byte[]> identities, byte[][] signed, out string reason)
    {
        try
        {
            // The elements outlive their documents as clones.
            using var header = JsonDocument.Parse(signed[0]);
            using var content = JsonDocument.Parse(signed[3]);
            if (header.RootElement.ValueKind != JsonValueKind.Object || content.RootElement.ValueKind != JsonValueKind.Object
                || !header.RootElement.TryGetProperty("msg_type", out var type) || type.ValueKind != JsonValueKind.String)
            {
                reason = "its header has no msg_type, or a part of it is no JSON object";
                return null;
            }

            reason = "";
            return new(identities, type.GetString()!, signed[0], content.RootElement.Clone());
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            reason = "a part of it is not JSON";
            return null;
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
