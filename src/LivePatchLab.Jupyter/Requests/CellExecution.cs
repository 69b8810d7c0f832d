using System.Text.Json;
using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>Runs cells, one at a time; another thread may interrupt the one that runs.</summary>
internal sealed class CellExecution(NotebookSession session, CellText text, SessionHistory history, Frontend frontend, MemoryCeiling memory)
{
    private readonly Lock _lock = new();
    private readonly FigureImages? _images = FigureImages.FromEnvironment(line => Console.Error.WriteLine("livepatch: " + line));
    private CancellationTokenSource? _running;
    private volatile JupyterCellOutput? _output;

    /// <summary>How many cells have been counted.</summary>
    public int Count { get; private set; }

    /// <summary>Asks the running cell to stop. Its variables stay.</summary>
    public void Interrupt()
    {
        lock (_lock) _running?.Cancel();
    }

    /// <summary>What answers a cell that is not run, since one before it has failed.</summary>
    public JupyterReply Aborted()
    {
        var content = JupyterReply.ErrorContent("aborted", "Aborted", "not run: a cell before it failed", []);
        content["execution_count"] = Count;
        return new("execute_reply", content);
    }

    /// <param name="request">The cell.</param>
    /// <param name="failed">Whether the cells that already wait behind it shall not run.</param>
    public JupyterReply Execute(JupyterRequest request, out bool failed)
    {
        using var interrupt = new CancellationTokenSource();
        // Before anybody is told that the cell runs: an interrupt must find it from then on.
        lock (_lock) _running = interrupt;
        try
        {
            using var output = _output = new(frontend, request, Count + 1, () => _output, new(_images), interrupt.Token);
            return Execute(request, output, interrupt.Token, out failed);
        }
        finally
        {
            _output = null;
            lock (_lock) _running = null;
        }
    }

    private JupyterReply Execute(JupyterRequest request, JupyterCellOutput output, CancellationToken token, out bool failed)
    {
        var code = request.Text("code");
        var silent = request.Flag("silent", false);
        var stopsOnError = request.Flag("stop_on_error", true);
        var wanted = request.Member("user_expressions", JsonValueKind.Object);
        var stored = !silent && request.Flag("store_history", true) && !string.IsNullOrWhiteSpace(code);
        if (stored) history.Add(++Count, code);
        if (!silent) frontend.IOPub.Publish(request, "execute_input", new() { ["code"] = code, ["execution_count"] = Count });

        if (CellText.AskedAbout(code) is { } asked && text.Explain(asked, asked.Length, withMembers: true) is { Count: > 0 } page)
        {
            failed = false;
            return Done([new JsonObject { ["source"] = "page", ["start"] = 0, ["data"] = page }], []);
        }

        var cell = Math.Max(Count, 1);
        var result = string.IsNullOrWhiteSpace(code) ? CellResult.Nothing : Run(code, cell, output, token);
        var expressions = result.Succeeded && wanted is { } names ? Evaluate(names, cell, output, token) : [];
        output.End(follows: !silent && (result.Failure is not null || result.Value is not null));
        if (!silent) output.SendImages(result.Value);
        failed = !result.Succeeded && stopsOnError;
        if (result.Failure is { } failure)
        {
            var lines = failure.Messages.Select(message => message.ToString()).ToArray();
            if (!silent) frontend.IOPub.Publish(request, "error", JupyterReply.ErrorContent(null, failure.Kind, failure.Messages[0].Text, lines));
            var reply = JupyterReply.Error("execute_reply", failure.Kind, failure.Messages[0].Text, lines);
            reply.Content["execution_count"] = Count;
            return reply;
        }

        if (result.Value is { } value && !silent)
            frontend.IOPub.Publish(request, "execute_result", new() { ["execution_count"] = Count, ["data"] = JupyterCellOutput.Data(value), ["metadata"] = JupyterCellOutput.Metadata(value) });
        return Done([], expressions);
    }

    private JupyterReply Done(JsonArray payload, JsonObject expressions)
        => JupyterReply.Ok("execute_reply", new() { ["execution_count"] = Count, ["payload"] = payload, ["user_expressions"] = expressions });

    private CellResult Run(string code, int cell, JupyterCellOutput output, CancellationToken token)
    {
        using var watch = memory.Over(Interrupt);
        var result = session.RunCellAsync(code, cell, output, token).GetAwaiter().GetResult();
        if (result.Failure is not { } failure || watch.Explain(failure) is not { } why) return result;
        return result with { Failure = new(nameof(OutOfMemoryException), [failure.Messages[0] with { Text = why }]) };
    }

    /// <summary>What a frontend wants to know after the cell: name to expression, and name to value in return.</summary>
    private JsonObject Evaluate(JsonElement wanted, int cell, JupyterCellOutput output, CancellationToken token)
    {
        var values = new JsonObject();
        foreach (var expression in wanted.EnumerateObject().Where(each => each.Value.ValueKind == JsonValueKind.String))
        {
            var result = session.CSharp.RunAsync(expression.Value.GetString()!, cell, 1, output, token).GetAwaiter().GetResult();
            values[expression.Name] = result.Failure is { } failure
                ? JupyterReply.ErrorContent("error", failure.Kind, failure.Messages[0].Text, failure.Messages.Select(message => message.ToString()))
                : new JsonObject { ["status"] = "ok", ["data"] = result.Value is null ? new JsonObject() : JupyterCellOutput.Data(result.Value), ["metadata"] = new JsonObject() };
        }

        return values;
    }
}
