namespace LivePatchLab.Notebooks;

/// <summary>
/// The cell that the current flow of execution belongs to. It follows awaits and new threads, so that their output reaches the right cell, and it is closed
/// when the cell ends: what a forgotten thread writes later is dropped, since it would stand under another cell or make two runs differ.
/// </summary>
internal sealed class CellScope(ICellOutput output, CancellationToken cancellation) : ICellOutput
{
    private static readonly AsyncLocal<CellScope?> Here = new();
    private readonly Lock _lock = new();
    private readonly ProgressClock _clock = new();
    private bool _closed;

    public static CellScope? Current
    {
        get => Here.Value;
        set => Here.Value = value;
    }

    public CancellationToken Cancellation => cancellation;

    /// <summary>Runs something as part of a new scope, which is closed when it ends.</summary>
    public static async Task<CellResult> Within(ICellOutput output, CancellationToken cancellation, Func<CellScope, Task<CellResult>> run)
    {
        ConsoleCapture.Install();
        var scope = new CellScope(output, cancellation);
        Current = scope;
        try
        {
            return await run(scope);
        }
        finally
        {
            scope.Close();
            Current = null;
        }
    }

    public void Write(string stream, string text)
    {
        try { }
        finally
        {
            // In a finally block, because there the runtime does not abort an interrupted cell: an abort between taking a lock and letting it go would hold
            // the lock for ever. So it is in all doors through which a cell's own thread comes into the lab.
            lock (_lock)
            {
                if (!_closed && text.Length > 0)
                    output.Write(stream, text);
            }
        }
    }

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        Action<MimeBundle> replace = _ => { };
        try { }
        finally
        {
            lock (_lock)
            {
                if (!_closed)
                    replace = output.Display(bundle);
            }
        }
        return next => Replace(replace, next);
    }

    public void Report(Progress progress)
    {
        try { }
        finally
        {
            lock (_lock)
            {
                if (!_closed)
                    output.Report(_clock.At(progress));
            }
        }
    }

    public void Close()
    {
        lock (_lock)
            _closed = true;
    }

    private void Replace(Action<MimeBundle> replace, MimeBundle next)
    {
        try { }
        finally
        {
            lock (_lock)
            {
                if (!_closed)
                    replace(next);
            }
        }
    }
}
