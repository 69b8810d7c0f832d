using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>Sends what a cell shows to the frontends, while it runs.</summary>
internal sealed class JupyterCellOutput(IOPub iopub, JupyterRequest request, int cell, CellImages images) : ICellOutput
{
    /// <summary>Work that is done sooner than this shows no progress, and progress is shown no oftener.</summary>
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly string _prefix = string.Create(CultureInfo.InvariantCulture, $"cell-{cell}-{Guid.NewGuid():N}");
    private long _progressAt = Stopwatch.GetTimestamp();
    private Action<MimeBundle>? _progress;
    private int _displays;

    public void Write(string stream, string text) => iopub.Publish(request, "stream", new() { ["name"] = stream, ["text"] = text });

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"{_prefix}-{Interlocked.Increment(ref _displays)}");
        Send("display_data", bundle, id);
        return next => Send("update_display_data", next, id);
    }

    public void Report(Progress progress)
    {
        lock (_lock)
        {
            if (Stopwatch.GetElapsedTime(_progressAt) < ProgressInterval) return;
            _progressAt = Stopwatch.GetTimestamp();
            var bundle = Formatter.Bundle(progress);
            if (_progress is null) _progress = Display(bundle);
            else _progress(bundle);
        }
    }

    /// <summary>The cell has ended: the bar that showed how far it was becomes empty.</summary>
    public void EndProgress()
    {
        lock (_lock) _progress?.Invoke(new MimeBundle(MimeBundle.Plain, "").Set(MimeBundle.Html, ""));
    }

    /// <summary>The cell has ended: what was shown without its image is shown again with it, and its result gets one too, as far as they are drawn in time.</summary>
    public void SendImages(MimeBundle? result, CancellationToken token)
    {
        foreach (var (id, bundle) in images.Await(result, token)) Publish("update_display_data", bundle, id);
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

    private void Send(string type, MimeBundle bundle, string id)
    {
        images.Show(id, bundle);
        Publish(type, bundle, id);
    }

    private void Publish(string type, MimeBundle bundle, string id)
        => iopub.Publish(request, type, new() { ["data"] = Data(bundle), ["metadata"] = Metadata(bundle), ["transient"] = new JsonObject { ["display_id"] = id } });
}
