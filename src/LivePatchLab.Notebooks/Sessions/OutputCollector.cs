using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Collects a cell's output in the form of a notebook file.</summary>
/// <param name="onProgress">Told how far a long cell is.</param>
/// <param name="into">Where the outputs go; a list of its own when there is none. What a later cell replaces changes there too.</param>
public sealed class OutputCollector(Action<Progress>? onProgress = null, List<NotebookOutput>? into = null) : ICellOutput
{
    private readonly Lock _lock = new();
    private readonly List<NotebookOutput> _outputs = into ?? [];

    // The text of the stream that was written last: a list that grows by a letter a time must not copy itself for each.
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _late = new();
    private string _stream = "";
    private bool _clearsAtNext;

    /// <summary>What has come so far; text of one stream that came in several pieces is one output.</summary>
    public IReadOnlyList<NotebookOutput> Outputs
    {
        get
        {
            lock (_lock)
            {
                EndText();
                return [.. _outputs];
            }
        }
    }

    public void Write(string stream, string text)
    {
        lock (_lock)
        {
            ClearIfAsked();
            if (_stream != stream)
                EndText();
            _stream = stream;
            _text.Append(text);
        }
    }

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        var shown = new DisplayOutput(bundle);
        Add(shown);
        return next =>
        {
            lock (_lock)
            {
                // By reference, since two displays may be equal; one that was cleared is gone.
                var index = _outputs.FindIndex(output => ReferenceEquals(output, shown));
                if (index >= 0)
                    _outputs[index] = shown = new DisplayOutput(next);
            }
        };
    }

    /// <summary>Text that came when the cell had ended, which a notebook that is to be the same each time cannot hold.</summary>
    public string Late
    {
        get
        {
            lock (_lock)
                return _late.ToString();
        }
    }

    public void WriteLate(string stream, string text)
    {
        lock (_lock)
            _late.Append(text);
    }

    public void DisplayLate(MimeBundle bundle) => WriteLate(StreamOutput.Stdout, (bundle.Text(MimeBundle.Plain) ?? "a display") + "\n");

    public void Report(Progress progress) => onProgress?.Invoke(progress);

    public void Clear(bool wait)
    {
        lock (_lock)
        {
            _clearsAtNext = true;
            if (!wait)
                ClearIfAsked();
        }
    }

    public void Add(NotebookOutput output)
    {
        lock (_lock)
        {
            ClearIfAsked();
            EndText();
            _outputs.Add(output);
        }
    }

    /// <summary>The cell has ended: its last text is put among the outputs.</summary>
    public void Complete()
    {
        lock (_lock)
            EndText();
    }

    private void ClearIfAsked()
    {
        if (!_clearsAtNext)
            return;
        _clearsAtNext = false;
        _text.Clear();
        _outputs.Clear();
    }

    private void EndText()
    {
        if (_text.Length == 0)
            return;
        if (_outputs.Count > 0 && _outputs[^1] is StreamOutput last && last.Name == _stream)
            _outputs[^1] = last with { Text = last.Text + _text };
        else
            _outputs.Add(new StreamOutput(_stream, _text.ToString()));
        _text.Clear();
    }
}
