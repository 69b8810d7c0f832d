using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>Sends what a cell shows to the frontends, while it runs. Text that comes in many small pieces goes out in few messages, and in its place among the rest.</summary>
/// <param name="frontend">The channels to the frontends.</param>
/// <param name="request">The cell.</param>
/// <param name="cell">Its number.</param>
/// <param name="running">The output of the cell that runs now: what an earlier cell has shown is replaced in the name of the one that replaces it.</param>
/// <param name="images">The images of this cell's figures.</param>
/// <param name="token">Ends a question to the reader.</param>
internal sealed class JupyterCellOutput(
    Frontend frontend, JupyterRequest request, int cell, Func<JupyterCellOutput?> running, CellImages images, CancellationToken token) : ICellOutput, IDisposable
{
    /// <summary>Work that is done sooner than this shows no progress, and progress is shown no oftener.</summary>
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>How long text waits for more.</summary>
    private static readonly TimeSpan MergeInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Text of this many characters waits no longer.</summary>
    private const int MergeMax = 64 << 10;

    private readonly Lock _lock = new();
    private readonly string _prefix = string.Create(CultureInfo.InvariantCulture, $"cell-{cell}-{Guid.NewGuid():N}");
    private readonly bool _silent = request.Flag("silent", false);
    private readonly bool _mayAsk = request.Flag("allow_stdin", false);
    private readonly List<Shown> _shown = [];
    private readonly StringBuilder _text = new();
    private string _stream = "";
    private Timer? _merge;
    private bool _waits;
    private long _progressAt = Stopwatch.GetTimestamp();
    private ShownBundle? _bar;
    private bool _clearsAtNext;
    private int _displays;

    public void Write(string stream, string text)
    {
        lock (_lock)
        {
            if (_stream != stream) Flush();
            _stream = stream;
            _text.Append(text);
            if (_text.Length >= MergeMax)
            {
                Flush();
            }
            else if (!_waits)
            {
                _waits = true;
                _merge ??= new(_ => FlushWaiting());
                _merge.Change(MergeInterval, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        lock (_lock)
        {
            Flush();
            var shown = Show(bundle);
            return next => (running() ?? this).Replace(shown, next);
        }
    }

    public void Report(Progress progress)
    {
        lock (_lock)
        {
            // A bar would count as the output at which the cell wants everything cleared.
            if (_clearsAtNext || Stopwatch.GetElapsedTime(_progressAt) < ProgressInterval) return;
            _progressAt = Stopwatch.GetTimestamp();
            Flush();
            var bundle = Formatter.Bundle(progress);
            if (_bar is null) _bar = Show(bundle);
            else Send("update_display_data", _bar, bundle);
        }
    }

    public void Clear(bool wait)
    {
        lock (_lock)
        {
            Flush();
            Publish("clear_output", new() { ["wait"] = wait });
            _clearsAtNext = true;
            if (!wait) ClearIfAsked();
        }
    }

    public string? Ask(string prompt, bool secret)
    {
        if (!_mayAsk) return null;
        FlushWaiting();

        return frontend.Stdin.Ask(request, prompt, secret, token);
    }

    /// <summary>
    /// The cell has ended: its last text goes out, and a bar that showed how far it was is taken back, so that a notebook saved in a frontend holds what a run without
    /// one gives. The protocol knows no message that removes one output; so where no display has taken the bar's place, all is cleared, and what stays is sent again.
    /// </summary>
    /// <param name="follows">Whether the cell still gets a result or an error.</param>
    public void End(bool follows)
    {
        lock (_lock)
        {
            Flush();
            if (_bar is null) return;
            _shown.Remove(_bar);
            _bar = null;
            if (_clearsAtNext && follows) return;
            var again = _shown.ToArray();
            _shown.Clear();
            // With something to follow, the frontend clears when that arrives, and nothing flickers.
            Publish("clear_output", new() { ["wait"] = follows || again.Length > 0 });
            foreach (var shown in again)
            {
                if (shown is ShownText text) SendText(text.Stream, text.Text.ToString());
                else Send("display_data", (ShownBundle)shown, ((ShownBundle)shown).Bundle);
            }
        }
    }

    /// <summary>Frontends put it under the cell that it belongs to, by the message's parent.</summary>
    public void WriteLate(string stream, string text) => Write(stream, text);

    public void DisplayLate(MimeBundle bundle) => Display(bundle);

    public void Dispose()
    {
        lock (_lock)
        {
            _merge?.Dispose();

            // What comes late has one of its own.
            _merge = null;
            _waits = false;
        }
    }

    /// <summary>The cell has ended: what was shown without its image is shown again with it, and its result gets one too, as far as they are drawn in time.</summary>
    public void SendImages(MimeBundle? result)
    {
        foreach (var (id, bundle) in images.Await(result, token)) Publish("update_display_data", Content(id, bundle));
    }

    /// <summary>What a frontend is told about the forms of an output.</summary>
    public static JsonObject Metadata(MimeBundle bundle) => bundle.Has(MimeBundle.Png) && bundle.Picture is { } picture ? picture.Metadata() : [];

    /// <summary>An output in all its forms as messages carry it.</summary>
    public static JsonObject Data(MimeBundle bundle)
    {
        var data = new JsonObject();
        foreach (var (type, content) in bundle) data[type] = content.DeepClone();
        return data;
    }

    private void FlushWaiting()
    {
        lock (_lock)
        {
            _waits = false;
            Flush();
        }
    }

    private void Flush()
    {
        if (_text.Length == 0) return;
        var text = _text.ToString();
        _text.Clear();
        ClearIfAsked();
        SendText(_stream, text);
    }

    private void SendText(string stream, string text)
    {
        if (_shown is [.., ShownText last] && last.Stream == stream) last.Text.Append(text);
        else _shown.Add(new ShownText(stream, new(text)));
        Publish("stream", new() { ["name"] = stream, ["text"] = text });
    }

    private ShownBundle Show(MimeBundle bundle)
    {
        ClearIfAsked();
        if (_bar is { } bar && _shown[^1] == bar)
        {
            // What is shown directly after a bar takes its place.
            _bar = null;
            Send("update_display_data", bar, bundle);
            return bar;
        }

        var shown = new ShownBundle(string.Create(CultureInfo.InvariantCulture, $"{_prefix}-{++_displays}"));
        Send("display_data", shown, bundle);
        return shown;
    }

    private void Replace(ShownBundle shown, MimeBundle next)
    {
        lock (_lock)
        {
            Flush();
            Send("update_display_data", shown, next);
        }
    }

    private void Send(string type, ShownBundle shown, MimeBundle bundle)
    {
        shown.Bundle = bundle;
        if (type == "display_data") _shown.Add(shown);
        images.Show(shown.Id, bundle);
        Publish(type, Content(shown.Id, bundle));
    }

    private static JsonObject Content(string id, MimeBundle bundle)
        => new() { ["data"] = Data(bundle), ["metadata"] = Metadata(bundle), ["transient"] = new JsonObject { ["display_id"] = id } };

    private void ClearIfAsked()
    {
        if (!_clearsAtNext) return;
        _clearsAtNext = false;
        _shown.Clear();
        _bar = null;
    }

    /// <summary>By the protocol a silent cell broadcasts nothing.</summary>
    private void Publish(string type, JsonObject content)
    {
        if (!_silent) frontend.IOPub.Publish(request, type, content);
    }

    /// <summary>What the frontends show of this cell now, in order.</summary>
    private abstract class Shown;

    private sealed class ShownText(string stream, StringBuilder text) : Shown
    {
        public string Stream => stream;

        public StringBuilder Text => text;
    }

    private sealed class ShownBundle(string id) : Shown
    {
        public string Id => id;

        public MimeBundle Bundle { get; set; } = [];
    }
}
