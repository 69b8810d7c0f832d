namespace LivePatchLab.Notebooks;

/// <summary>
/// Gives reports of progress what they lack: the time and the rate. It belongs to the host, so that no work of the lab looks at a clock. Not thread-safe:
/// reports come one after the other.
/// </summary>
/// <param name="time">Where the time comes from; tests have their own.</param>
public sealed class ProgressClock(TimeProvider time)
{
    /// <summary>No rate before it: the first few of anything tell little about the rest.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);

    /// <summary>What lies so far back counts for 1/e in the rate.</summary>
    private const double MemorySeconds = 10;

    private Progress? _last;
    private long _startedAt, _lastAt;
    private double _weighedDone, _weighedSeconds;

    public ProgressClock() : this(TimeProvider.System) { }

    /// <summary>The same report, with the time since the work's first one. Another text or total, or less done than before, is another work.</summary>
    public Progress At(Progress report)
    {
        var now = time.GetTimestamp();
        if (_last is null || report.Text != _last.Text || report.Total != _last.Total || report.Done < _last.Done)
        {
            // What came before the first report cannot be told from a pause; so the rate is that of what follows.
            (_startedAt, _weighedDone, _weighedSeconds) = (now, 0, 0);
        }
        else
        {
            var seconds = time.GetElapsedTime(_lastAt, now).TotalSeconds;
            var memory = Math.Exp(-seconds / MemorySeconds);
            _weighedDone = (_weighedDone * memory) + (report.Done - _last.Done);
            _weighedSeconds = (_weighedSeconds * memory) + seconds;
        }

        (_last, _lastAt) = (report, now);
        var elapsed = time.GetElapsedTime(_startedAt, now);
        return report with { Elapsed = elapsed, RatePerSecond = elapsed >= Silence && _weighedDone > 0 ? _weighedDone / _weighedSeconds : null };
    }
}
