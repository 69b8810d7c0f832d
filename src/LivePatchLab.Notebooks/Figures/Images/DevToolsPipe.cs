using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>Chromium's DevTools protocol over two pipes (<c>--remote-debugging-pipe</c>): JSON messages with a zero byte behind each. Answers are told by their id; events are not wanted.</summary>
internal sealed class DevToolsPipe
{
    private readonly Stream _commands;
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonObject>> _waiting = new();
    private int _id;
    private volatile bool _isClosed;

    public DevToolsPipe(Stream commands, Stream answers)
    {
        _commands = commands;
        _ = Task.Run(() => ReadAsync(answers));
    }

    /// <summary>Sends a command and waits for its result.</summary>
    /// <exception cref="IOException">The browser is gone, or refuses the command.</exception>
    public async Task<JsonObject> CallAsync(string method, JsonObject parameters, string? session, CancellationToken token)
    {
        var id = Interlocked.Increment(ref _id);
        var answer = _waiting[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_isClosed) throw Gone();
        var message = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters };
        if (session is not null) message["sessionId"] = session;
        await _commands.WriteAsync(Encoding.UTF8.GetBytes(message.ToJsonString() + '\0'), token);
        await _commands.FlushAsync(token);
        var reply = await answer.Task.WaitAsync(token);
        return reply["error"] is { } error ? throw new IOException($"{method}: {error["message"]}") : reply["result"] as JsonObject ?? [];
    }

    private static IOException Gone() => new("the browser has ended");

    private async Task ReadAsync(Stream answers)
    {
        var message = new MemoryStream();
        var buffer = new byte[64 * 1024];
        try
        {
            for (int read; (read = await answers.ReadAsync(buffer)) > 0;)
            {
                for (var rest = buffer.AsMemory(0, read); !rest.IsEmpty;)
                {
                    var end = rest.Span.IndexOf((byte)0);
                    message.Write(rest.Span[..(end < 0 ? rest.Length : end)]);
                    if (end < 0) break;
                    Answer(message.ToArray());
                    message.SetLength(0);
                    rest = rest[(end + 1)..];
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or JsonException)
        {
            // A broken stream ends like a closed one: whoever waits is told below.
        }
        _isClosed = true;
        foreach (var waiting in _waiting.Values) waiting.TrySetException(Gone());
    }

    private void Answer(byte[] message)
    {
        if (JsonNode.Parse(message) is JsonObject reply && reply["id"] is JsonValue value && value.TryGetValue<int>(out var id) && _waiting.TryRemove(id, out var waiting))
            waiting.TrySetResult(reply);
    }
}
