using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>
/// How much memory the kernel may hold. A kernel that takes more than the container has is killed without a word, with all variables; so a cell is stopped before that.
/// What it has asked for and not touched counts as well, which the working set does not show: the managed heap has a hard limit a little beyond the ceiling, at which an
/// allocation fails with an exception instead of ending the process.
/// </summary>
public sealed class MemoryCeiling
{
    public const string Variable = "LIVEPATCH_MEMORY_MAX";

    /// <summary>A cell that allocates as fast as it can writes some hundred MiB between two looks; the default ceiling leaves a quarter of the memory for that.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    // What the kernel itself takes while a cell is at its ceiling: to compile, to answer, and to tell of it.
    private const long SpareBytes = 128L << 20;

    private static readonly (string Name, int Shift)[] Units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

    private MemoryCeiling(long bytes) => Bytes = bytes;

    public long Bytes { get; }

    /// <summary>The ceiling that a text names, as "2GiB"; without a text, three quarters of the memory of this container or computer.</summary>
    /// <exception cref="BadInputException">The text names no size.</exception>
    public static MemoryCeiling From(string? text)
    {
        if (string.IsNullOrEmpty(text)) return new(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4 * 3);
        foreach (var (name, shift) in Units)
        {
            if (text.EndsWith(name, StringComparison.Ordinal)
                && long.TryParse(text.AsSpan()[..^name.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                && count > 0 && count <= long.MaxValue >> shift)
                return new(count << shift);
        }

        throw new BadInputException($"{Variable}={text.ReplaceLineEndings(" ")}: a ceiling is a whole number with its unit, as 512MiB or 2GiB");
    }

    /// <summary>Has allocations of managed memory fail where this process would hold much more than the ceiling.</summary>
    public void Enforce() => LimitHeap(Bytes);

    /// <summary>Watches while a cell runs, and asks it to stop when the kernel holds too much.</summary>
    internal Watch Over(Action stop) => new(this, stop);

    /// <summary>The one line that tells of it.</summary>
    /// <param name="what">What has happened to the cell.</param>
    internal string Explain(string what) => $"{what}: the kernel holds {Size(Held())}, and its ceiling is {Size(Bytes)} ({Variable} sets another). "
        + "The variables of the cells before live on: set the biggest to null, or restart the kernel";

    private static long Held() => Math.Max(Environment.WorkingSet, GC.GetTotalMemory(forceFullCollection: false));

    /// <summary>Lets the managed heap grow to so much and an eighth of the ceiling more.</summary>
    private void LimitHeap(long bytes)
    {
        var limit = (ulong)Math.Max(bytes + (Bytes / 8), Held()) + (ulong)SpareBytes;
        AppContext.SetData("GCHeapHardLimit", limit);
        try
        {
            GC.RefreshMemoryLimit();
        }
        catch (InvalidOperationException)
        {
            // More is committed than that, which the collector gives back later: the limit before holds, and the watch looks on.
        }
    }

    private static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{(bytes + (1 << 20) - 1) >> 20} MiB");

    /// <summary>The watch over one cell.</summary>
    internal sealed class Watch : IDisposable
    {
        private readonly ManualResetEventSlim _ended = new();
        private readonly MemoryCeiling _ceiling;
        private readonly Action _stop;
        private readonly Thread _thread;
        private readonly long _limit;
        private volatile string? _stopped;
        private bool _isFull;

        public Watch(MemoryCeiling ceiling, Action stop)
        {
            (_ceiling, _stop) = (ceiling, stop);

            // A kernel that is above its ceiling already must still be able to run the cell that sets a variable to null.
            _limit = Math.Max(ceiling.Bytes, Held() > ceiling.Bytes ? HeldAfterCollection() + (ceiling.Bytes / 8) : 0);
            ceiling.LimitHeap(_limit);
            _thread = new Thread(Look) { IsBackground = true, Name = "Jupyter memory", Priority = ThreadPriority.AboveNormal };
            _thread.Start();
        }

        /// <summary>What the user is told when this watch has stopped the cell, or the cell has met the end of memory by itself; null when neither.</summary>
        public string? Explain(CellFailure failure)
        {
            var said = failure.Messages[0].Text;
            if (failure.Kind == nameof(OutOfMemoryException))
            {
                _isFull = true;
                return _ceiling.Explain(said);
            }

            if (failure.Kind != CellFailure.Interrupted || _stopped is null) return null;
            // A cell that could not be stopped says so, and goes on taking memory: that must not be lost.
            return said == "interrupted" ? _stopped : $"{_stopped}; {said}";
        }

        public void Dispose()
        {
            _ended.Set();
            _thread.Join();
            _ended.Dispose();
            // What the stopped cell has held is given back before the next one is measured; and to compile that one takes memory, too.
            if (_stopped is not null || _isFull) _ceiling.LimitHeap(HeldAfterCollection());
        }

        private static void Collect() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

        private void Look()
        {
            while (!_ended.Wait(Interval))
            {
                if (Held() <= _limit || HeldAfterCollection() <= _limit) continue;
                _stopped = _ceiling.Explain("stopped for want of memory");
                _stop();
                return;
            }
        }

        /// <summary>What is garbage does not count.</summary>
        private static long HeldAfterCollection()
        {
            Collect();
            return Held();
        }
    }
}
