using System.Text.Json.Nodes;
using LivePatchLab.Linux;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>Answers requests. Each is between a busy and an idle status, and each gets a reply of its type: a frontend that waits for ever is worse than an error.</summary>
internal sealed class RequestDispatcher(NotebookSession session, MessageCodec codec, Frontend frontend, MemoryCeiling memory, Action shutdown)
{
    private static readonly string[] Known =
    [
        "kernel_info_request", "execute_request", "is_complete_request", "complete_request", "inspect_request", "history_request", "comm_info_request",
        "shutdown_request", "interrupt_request",
    ];

    /// <summary>What the shell alone answers: the control channel hears while a cell runs, and these need the session that the cell uses.</summary>
    private static readonly string[] NeedSession = ["execute_request", "is_complete_request", "complete_request", "inspect_request", "history_request"];

    private readonly SessionHistory _history = new();
    private readonly CellText _text = new(session);
    private CellExecution? _execution;

    private CellExecution Execution => LazyInitializer.EnsureInitialized(ref _execution, () => new CellExecution(session, _text, _history, frontend, memory));

    private IOPub IOPub => frontend.IOPub;

    /// <summary>Stops the cell that runs; without one, nothing happens, to a later cell neither.</summary>
    public void Interrupt() => Execution.Interrupt();

    /// <summary>Answers what waits at a socket, until the sockets are closed.</summary>
    /// <param name="socket">The shell's or the control's.</param>
    /// <param name="isControl">Control hears while a cell runs; what needs the session is the shell's.</param>
    public void Serve(ZmqSocket socket, bool isControl)
    {
        using (socket)
        {
            try
            {
                while (true)
                {
                    foreach (var waiting in Handle(socket, isControl, socket.Receive()!, aborting: false)) Handle(socket, isControl, waiting, aborting: true);
                }
            }
            catch (ZmqTerminatedException)
            {
                // How the server ends its threads.
            }
        }
    }

    /// <summary>Answers one message. When it was a cell that failed: the messages that waited behind it, whose cells must not run.</summary>
    private List<IReadOnlyList<byte[]>> Handle(ZmqSocket socket, bool isControl, IReadOnlyList<byte[]> frames, bool aborting)
    {
        if (codec.Read(frames, out var reason) is not { } request)
        {
            KernelLog.Dropped(reason);
            return [];
        }

        var failed = false;
        var ends = false;
        List<IReadOnlyList<byte[]>> behind = [];
        IOPub.Status(request, "busy");
        try
        {
            var reply = Answer(request, isControl, aborting, ref failed);
            // Before the reply: what comes after it was sent by somebody who may know of the failure.
            while (failed && socket.Receive(wait: false) is { } waiting) behind.Add(waiting);
            if (reply is not null) socket.Send(codec.Write(request.Identities, reply.Type, request.Header, reply.Content));
            ends = request.Type == "shutdown_request" && reply?.Succeeded == true;
        }
        finally
        {
            IOPub.Status(request, "idle");
        }

        // After the idle: shutting down closes the sockets.
        if (ends) shutdown();
        return behind;
    }

    private JupyterReply? Answer(JupyterRequest request, bool isControl, bool aborting, ref bool failed)
    {
        try
        {
            if (request.Problem is { } problem) throw new BadContentException(problem);
            return request.Type switch
            {
                var type when isControl && NeedSession.Contains(type) => NotHere(request, $"{type} is answered on the shell channel, not on control"),
                "kernel_info_request" => KernelInfo(),
                "execute_request" => aborting ? Execution.Aborted() : Execution.Execute(request, out failed),
                "is_complete_request" => _text.IsComplete(request),
                "complete_request" => _text.Complete(request),
                "inspect_request" => _text.Inspect(request),
                "history_request" => _history.Answer(request),
                "comm_info_request" => CommInfo(request),
                "comm_open" => RefuseComm(request),
                "comm_msg" or "comm_close" => null,
                "shutdown_request" => Shutdown(request),
                "interrupt_request" => Interrupted(),
                "debug_request" => NotHere(request, "this kernel has no debugger"),
                _ => NotHere(request, $"this kernel does not know {request.Type}.{Suggestion.Question(Known, request.Type)}"),
            };
        }
        catch (BadContentException wrong)
        {
            KernelLog.Dropped($"{request.Type}: {wrong.Message}");
            return Refusal(request, "BadMessage", $"{request.Type}: {wrong.Message}");
        }
        catch (Exception e) when (e is not ZmqTerminatedException)
        {
            // Whatever a request breaks, the kernel with the user's variables lives on, and the frontend is told.
            KernelLog.Say($"{request.Type}: {e.GetType().Name}: {e.Message}");
            return Refusal(request, e.GetType().Name, e.Message.ReplaceLineEndings(" "));
        }
    }

    private JupyterReply? NotHere(JupyterRequest request, string problem)
    {
        KernelLog.Dropped(problem);
        return Refusal(request, "UnknownRequest", problem);
    }

    /// <summary>An error of the request's own reply type. What is no request has none, and by the protocol nobody waits for it.</summary>
    private JupyterReply? Refusal(JupyterRequest request, string name, string text)
    {
        if (!request.Type.EndsWith("_request", StringComparison.Ordinal)) return null;
        var reply = JupyterReply.Error($"{request.Type[..^"request".Length]}reply", name, text);
        if (reply.Type == "execute_reply") reply.Content["execution_count"] = Execution.Count;
        return reply;
    }

    private static JupyterReply KernelInfo() => JupyterReply.Ok("kernel_info_reply", new()
    {
        ["protocol_version"] = MessageCodec.Version,
        ["implementation"] = "livepatch",
        ["implementation_version"] = LabVersion,
        ["language_info"] = new JsonObject
        {
            ["name"] = "C#",
            ["version"] = "14.0",
            ["mimetype"] = "text/x-csharp",
            ["file_extension"] = ".cs",
            ["pygments_lexer"] = "csharp",
            ["codemirror_mode"] = "text/x-csharp",
        },
        ["banner"] = $"LivePatchLab {LabVersion}: C# cells, and magic commands that #!lab lists",
        ["help_links"] = new JsonArray(),
        ["debugger"] = false,
        // Of the features that may be told here (kernel subshells, the debugger), this kernel has none.
        ["supported_features"] = new JsonArray(),
    });

    private static string LabVersion => typeof(RequestDispatcher).Assembly.GetName().Version!.ToString(3);

    private JupyterReply Interrupted()
    {
        Interrupt();
        return JupyterReply.Ok("interrupt_reply", []);
    }

    private JupyterReply Shutdown(JupyterRequest request)
    {
        var restart = request.Flag("restart", false);
        IOPub.Publish(request, "shutdown_reply", new() { ["status"] = "ok", ["restart"] = restart });
        return JupyterReply.Ok("shutdown_reply", new() { ["restart"] = restart });
    }

    private static JupyterReply CommInfo(JupyterRequest request)
    {
        _ = request.Text("target_name", "");
        return JupyterReply.Ok("comm_info_reply", new() { ["comms"] = new JsonObject() });
    }

    /// <summary>There are no targets, and the protocol has an unknown one closed at once.</summary>
    private JupyterReply? RefuseComm(JupyterRequest request)
    {
        IOPub.Publish(request, "comm_close", new() { ["comm_id"] = request.Text("comm_id", ""), ["data"] = new JsonObject() });
        return null;
    }
}
