namespace LivePatchLab.Notebooks;

/// <summary>Collects a cell's output in the form of a notebook file.</summary>
public sealed class OutputCollector(Action<Progress>? onProgress = null) : ICellOutput
{
    private readonly Lock _lock = new();
    private readonly List<NotebookOutput> _outputs = [];

    /// <summary>What has come so far; text of one stream that came in several pieces is one output.</summary>
    public IReadOnlyList<NotebookOutput> Outputs
    {
        get
        {
            lock (_lock)
                return [.. _outputs];
        }
    }

    public void Write(string stream, string text)
    {
        lock (_lock)
        {
            if (_outputs.Count > 0 && _outputs[^1] is StreamOutput last && last.Name == stream)
                _outputs[^1] = last with { Text = last.Text + text };
            else
                _outputs.Add(new StreamOutput(stream, text));
        }
    }

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        lock (_lock)
        {
            var index = _outputs.Count;
            _outputs.Add(new DisplayOutput(bundle));
            return next =>
            {
                lock (_lock)
                    _outputs[index] = new DisplayOutput(next);
            };
        }
    }

    public void Report(Progress progress) => onProgress?.Invoke(progress);

    public void Add(NotebookOutput output)
    {
        lock (_lock)
            _outputs.Add(output);
    }
}
