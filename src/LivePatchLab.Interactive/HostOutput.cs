using System.Runtime.CompilerServices;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>
/// The output of one cell of the host. Progress is shown as a value that is replaced in place, not too often; the first result takes the place of the progress,
/// so that nothing of it stays in the notebook.
/// </summary>
internal sealed class HostOutput(HostCell cell, TimeProvider time) : ICellOutput
{
    private static readonly ConditionalWeakTable<object, HostOutput> OfCell = [];
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Work that is done sooner than this shows no progress.</summary>
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly long _startedAt = time.GetTimestamp();
    private Action<object>? _progress;
    private long _reportedAt;

    /// <summary>The output of a cell: the same one for all its lines.</summary>
    public static HostOutput Of(HostCell cell) => OfCell.GetValue(cell.Identity, _ => new(cell, TimeProvider.System));

    // The host has redirected the console for as long as the cell runs.
    public void Write(string stream, string text) => (stream == StreamOutput.Stderr ? Console.Error : Console.Out).Write(text);

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        var shown = HostView.Of(bundle);
        lock (_lock)
        {
            var replace = _progress;
            _progress = null;
            if (replace is null)
                replace = cell.Display(shown);
            else
                replace(shown);
            return next => replace(HostView.Of(next));
        }
    }

    public void Report(Progress progress)
    {
        lock (_lock)
        {
            if (time.GetElapsedTime(_startedAt) < FirstPause)
                return;
            if (_progress is null)
                _progress = cell.Display(HostView.Of(Formatter.Bundle(progress)));
            else if (time.GetElapsedTime(_reportedAt) >= Pause)
                _progress(HostView.Of(Formatter.Bundle(progress)));
            else
                return;
            _reportedAt = time.GetTimestamp();
        }
    }
}
