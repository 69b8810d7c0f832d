namespace LivePatchLab.Jupyter;

/// <summary>Where a cell asks the reader who has run it. A reply counts while its question is open, and only when it comes from the frontend that was asked.</summary>
internal sealed class StdinChannel : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Question> _open = [];
    private readonly MessageCodec _codec;
    private readonly SharedSocket _socket;

    /// <param name="context">Of all the kernel's sockets.</param>
    /// <param name="socket">The bound ROUTER socket; it is this object's from now on.</param>
    /// <param name="codec">Signs what is asked, and reads what is answered.</param>
    public StdinChannel(nint context, ZmqSocket socket, MessageCodec codec)
    {
        _codec = codec;
        _socket = new(context, socket, "stdin", Receive);
    }

    /// <summary>Asks the frontend that has sent a request, and waits for its answer. Frontends use one identity for all their sockets, as the protocol demands.</summary>
    /// <exception cref="OperationCanceledException">The token fired first.</exception>
    public string Ask(JupyterRequest request, string prompt, bool secret, CancellationToken token)
    {
        var frames = _codec.Write(request.Identities, "input_request", request.Header, new() { ["prompt"] = prompt, ["password"] = secret }, out var id);
        var question = new Question(id, request.Identities);
        try
        {
            Open(question);
            return question.Answer.Task.WaitAsync(token).GetAwaiter().GetResult();
        }
        finally
        {
            lock (_lock) _open.Remove(question);
        }

        void Open(Question asked)
        {
            lock (_lock) _open.Add(asked);
            _socket.Send(frames);
        }
    }

    public void Dispose() => _socket.Dispose();

    private void Receive(ZmqSocket socket, IReadOnlyList<byte[]> frames)
    {
        if (_codec.Read(frames, out var reason) is not { } reply)
        {
            KernelLog.Dropped($"stdin: {reason}");
            return;
        }

        if (Refuse(reply) is { } problem) KernelLog.Dropped($"stdin: {problem}");
    }

    /// <summary>Why a message answers nothing; null when it has answered a question.</summary>
    private string? Refuse(JupyterRequest reply)
    {
        if (reply.Type != "input_reply") return $"{reply.Type} is no input_reply";
        if (reply.Problem is { } problem) return problem;
        string value;
        try
        {
            value = reply.Text("value");
        }
        catch (BadContentException wrong)
        {
            return wrong.Message;
        }

        lock (_lock)
        {
            // jupyter_client and the classic notebook send no parent; those who do must mean the question that is open.
            var question = _open.Find(each => (reply.ParentId ?? each.Id) == each.Id && SameRoute(each.Route, reply.Identities));
            if (question is null) return "an input_reply to no open question";
            _open.Remove(question);
            question.Answer.SetResult(value);
            return null;
        }
    }

    private static bool SameRoute(IReadOnlyList<byte[]> asked, IReadOnlyList<byte[]> answering)
        => asked.Count == answering.Count && asked.Zip(answering).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    private sealed class Question(string id, IReadOnlyList<byte[]> route)
    {
        public string Id => id;

        public IReadOnlyList<byte[]> Route => route;

        // The cell goes on on its own thread, not on that of the socket.
        public TaskCompletionSource<string> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
