using System.Diagnostics;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>
/// One line on stderr that says how far a work is, rewritten in place, and gone when the work is done. Where stderr is no terminal nothing is written at all,
/// so that what scripts collect stays clean.
/// </summary>
internal sealed class ProgressLine : IDisposable
{
    /// <summary>Work that is done sooner shows nothing, and nothing is rewritten oftener than the second.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(500), Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>Back to the first column, and clear the line: ECMA-48's CR and EL.</summary>
    private const string Clear = "\r\u001b[K";

    private readonly ProgressClock _clock = new();
    private readonly bool _isTerminal = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
    private readonly long _startedAt = Stopwatch.GetTimestamp();
    private long _writtenAt;

    /// <summary>What stands before the progress: which of several works it is.</summary>
    public string Prefix { get; set; } = "";

    /// <summary>A work that tells nothing of the time it takes.</summary>
    public void Count(long done, long total, string text) => Show(_clock.At(new(done, total, text)));

    public void Show(Progress progress) => Show(progress.ToString());

    public void Show(string text)
    {
        if (!_isTerminal || Stopwatch.GetElapsedTime(_startedAt) < Silence) return;
        if (_writtenAt != 0 && Stopwatch.GetElapsedTime(_writtenAt) < Interval) return;
        _writtenAt = Stopwatch.GetTimestamp();
        var line = Prefix + text;
        // A line that wraps could not be rewritten in place. A terminal of 0 columns is one that does not say how many it has.
        var width = (Console.WindowWidth > 0 ? Math.Max(20, Console.WindowWidth) : 80) - 1;
        Console.Error.Write(Clear + (line.Length <= width ? line : line[..(width - 1)] + "…"));
    }

    /// <summary>Leaves the line empty, for messages or for the shell's prompt.</summary>
    public void Dispose()
    {
        if (_writtenAt != 0) Console.Error.Write(Clear);
        _writtenAt = 0;
    }
}
