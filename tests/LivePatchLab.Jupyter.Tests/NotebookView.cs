namespace LivePatchLab.Jupyter.Tests;

/// <summary>The outputs that a frontend shows and saves, made from what it hears: the rules that Jupyter's frontends and nbclient share.</summary>
internal sealed class NotebookView
{
    private readonly List<(string Kind, string? Id, string Text)> _outputs = [];
    private bool _clearsAtNext;

    /// <summary>"stdout:text", "display:1", "result:2", "error:…"; every output of every cell, in order.</summary>
    public IReadOnlyList<string> Outputs => [.. _outputs.Select(output => $"{output.Kind}:{output.Text}")];

    public NotebookView Hear(IEnumerable<Received> messages)
    {
        foreach (var message in messages) Hear(message);
        return this;
    }

    private void Hear(Received message)
    {
        switch (message.Type)
        {
            case "stream":
                Clear();
                if (_outputs is [.., var last] && last.Kind == message["name"]) _outputs[^1] = last with { Text = last.Text + message["text"] };
                else _outputs.Add((message["name"], null, message["text"]));
                break;
            case "display_data":
                Clear();
                _outputs.Add(("display", Id(message), Plain(message)));
                break;
            case "update_display_data":
                for (var i = 0; i < _outputs.Count; i++)
                    if (_outputs[i].Id == Id(message)) _outputs[i] = _outputs[i] with { Text = Plain(message) };
                break;
            case "execute_result":
                Clear();
                _outputs.Add(("result", null, Plain(message)));
                break;
            case "error":
                Clear();
                _outputs.Add(("error", null, message["evalue"]));
                break;
            case "clear_output":
                _clearsAtNext = true;
                if (message["wait"] == "false") Clear();
                break;
        }
    }

    private static string Id(Received message) => message.Content["transient"]!["display_id"]!.GetValue<string>();

    private static string Plain(Received message) => message.Content["data"]!["text/plain"]!.GetValue<string>();

    private void Clear()
    {
        if (_clearsAtNext) _outputs.Clear();
        _clearsAtNext = false;
    }
}
