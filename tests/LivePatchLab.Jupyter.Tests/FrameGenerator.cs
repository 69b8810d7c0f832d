using System.Text;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>Messages that no good frontend sends, from a seed. None of them is a request that ends the kernel, and none is a cell with code in it.</summary>
internal sealed class FrameGenerator(int seed, JupyterClient signer)
{
    private const int LongestText = 4096;

    private static readonly string[] Shapes =
    [
        "{}", "[]", "7", "\"text\"", "null", "true", "-0.5e-300", "{\"code\":7}", "{\"code\":\"\"}", "{\"code\":\" \",\"silent\":true}", "{\"code\":\"\",\"cursor_pos\":-1}", "{\"code\":\"#!la\",\"cursor_pos\":99999}",
        "{\"code\":\"#!patch --eng\"}", "{\"code\":\"\\ud800\"}", "{\"\\udc00\":1}", "{\"restart\":\"yes\"}", "{\"restart\":[]}", "{\"value\":\"nobody asked\"}", "{\"value\":{}}", "{\"user_expressions\":{\"a\":1},\"code\":\"\"}",
        "{\"user_expressions\":[1],\"code\":\"\"}", "{\"hist_access_type\":\"range\",\"start\":-5,\"stop\":-9}", "{\"hist_access_type\":\"search\",\"pattern\":\"[*?\",\"n\":-1}", "{\"n\":1e400}", "{\"n\":99999999999}",
        "{\"comm_id\":1}", "{\"comm_id\":\"c\",\"target_name\":null}", "{\"status\":\"ok\"}", "{\"code\":", "", " ", "{\"a\":1}{\"b\":2}", "{\"a\":1,\"a\":2}", "\u0000", "nan", "{'a':1}",
    ];

    private static readonly string[] Types =
    [
        .. RequestShapes.Types, "input_reply", "input_request", "comm_open", "comm_msg", "comm_close", "status", "execute_reply", "", "_request", "request", "EXECUTE_REQUEST", "execute_request ", "é_request",
        "../../etc/passwd", "stream",
    ];

    private readonly Random _random = new(seed);
    private readonly List<List<byte[]>> _sent = [];
    private int _count;

    /// <summary>The frames of the next message, at least one.</summary>
    public List<byte[]> Next()
    {
        var frames = _random.Next(12) switch
        {
            0 => WrongSignature(Signed()),
            1 => Truncated(Signed()),
            2 => Surplus(Signed()),
            3 => Flipped(Signed()),
            4 => Noise(),
            5 when _sent.Count > 0 => _sent[_random.Next(_sent.Count)],
            6 => signer.SignedBytes(Bytes(LongestText), Bytes(64), Bytes(64), Bytes(64)),
            7 => signer.SignedBytes(Encoding.UTF8.GetBytes(Header("execute_request")), "{}"u8.ToArray(), "{}"u8.ToArray(), Bytes(LongestText)),
            8 => signer.Signed(Header(Pick(Types).Replace("shutdown", "halt", StringComparison.Ordinal)), Nested(), "{}", Nested()),
            _ => Signed(),
        };
        if (frames.Count == 0) frames = [[]];
        if (_sent.Count < 256) _sent.Add(frames);
        else _sent[_random.Next(_sent.Count)] = frames;
        return frames;
    }

    /// <summary>Well signed, of any type, with any content; what would end the kernel is the one thing that it never is.</summary>
    private List<byte[]> Signed()
    {
        var type = Pick(Types);
        var content = Pick(Shapes);
        if (type == "shutdown_request" && !content.StartsWith("{\"restart\"", StringComparison.Ordinal)) content = "[]";
        return signer.Signed(Header(type), _random.Next(4) == 0 ? Pick(Shapes) : "{}", _random.Next(4) == 0 ? Pick(Shapes) : "{}", content);
    }

    private string Header(string type)
    {
        var id = $"fuzz-{seed}-{_count++}";
        return _random.Next(16) switch
        {
            0 => $$"""{"msg_id":7,"msg_type":"{{type}}"}""",
            1 => $$"""{"msg_type":"{{type}}"}""",
            2 => $$"""{"msg_id":"{{id}}","msg_type":["{{type}}"]}""",
            3 => $$"""{"msg_id":"\ud800","msg_type":"{{type}}","session":{"a":[{}]} }""",
            4 => Pick(Shapes),
            _ => $$"""{"msg_id":"{{id}}","msg_type":"{{type}}","session":"fuzz","username":"","version":"9.9","date":"never"}""",
        };
    }

    private List<byte[]> WrongSignature(List<byte[]> frames)
    {
        frames[1] = _random.Next(4) switch
        {
            0 => [],
            1 => Bytes(64),
            2 => Encoding.ASCII.GetBytes(new string('0', 64)),
            _ => [.. frames[1].Reverse()],
        };
        return frames;
    }

    private List<byte[]> Truncated(List<byte[]> frames)
    {
        var from = _random.Next(frames.Count);
        return frames.GetRange(from, _random.Next(frames.Count - from + 1));
    }

    /// <summary>Binary buffers behind the four frames are what the protocol allows; frames before the delimiter are a way back that leads nowhere.</summary>
    private List<byte[]> Surplus(List<byte[]> frames)
    {
        for (var more = _random.Next(1, 8); more > 0; more--) frames.Insert(_random.Next(2) == 0 ? 0 : frames.Count, Bytes(LongestText));
        return frames;
    }

    /// <summary>One bit of one frame is another: the signature or the framing no longer fits.</summary>
    private List<byte[]> Flipped(List<byte[]> frames)
    {
        var frame = frames[_random.Next(frames.Count)];
        if (frame.Length > 0) frame[_random.Next(frame.Length)] ^= (byte)(1 << _random.Next(8));
        return frames;
    }

    private List<byte[]> Noise()
    {
        var frames = new List<byte[]>();
        for (var count = _random.Next(1, 10); count > 0; count--) frames.Add(_random.Next(3) == 0 ? "<IDS|MSG>"u8.ToArray() : Bytes(256));
        return frames;
    }

    private string Nested()
    {
        var depth = _random.Next(1, 2000);
        return _random.Next(2) == 0 ? new string('[', depth) + new string(']', depth) : string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string('}', depth);
    }

    private byte[] Bytes(int longest)
    {
        var bytes = new byte[_random.Next(longest)];
        _random.NextBytes(bytes);
        return bytes;
    }

    private string Pick(string[] from) => from[_random.Next(from.Length)];
}
