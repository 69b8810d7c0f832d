namespace LivePatchLab.Notebooks;

/// <summary>
/// The cell that the current flow of execution belongs to. It follows awaits and new threads, so that their output reaches the right cell, and it is closed
/// when the cell ends: what a forgotten thread writes later is still this cell's, for those outputs that can take it then.
/// </summary>
internal sealed class CellScope(ICellOutput output, CancellationToken cancellation) : ICellOutput
{
    private static readonly AsyncLocal<CellScope?> Here = new();
    private readonly Lock _lock = new();
    private readonly StreamAllowance _allowance = new();
    private readonly ProgressClock _clock = new();
    private readonly Stack<Func<ValueTask>> _disposals = new();
    private bool _closed;

    public static CellScope? Current
    {
        get => Here.Value;
        set => Here.Value = value;
    }

    /// <summary>The scope that was opened last, whether or not it is closed.</summary>
    public static CellScope? Latest { get; private set; }

    public CancellationToken Cancellation => cancellation;

    /// <summary>Runs something as part of a new scope, which is closed when it ends.</summary>
    public static async Task<CellResult> Within(ICellOutput output, CancellationToken cancellation, Func<CellScope, Task<CellResult>> run)
    {
        ConsoleCapture.Install();
        var scope = new CellScope(output, cancellation);
        Current = Latest = scope;
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
        lock (_lock)
        {
            if (text.Length > 0)
                WriteWhatFits(stream, text);
        }
    }

    public Action<MimeBundle> Display(MimeBundle bundle)
    {
        Action<MimeBundle> replace = _ => { };
        lock (_lock)
        {
            if (!_closed)
                replace = output.Display(bundle);
            else
                output.DisplayLate(bundle);
        }
        return next => Replace(replace, next);
    }

    public void Report(Progress progress)
    {
        lock (_lock)
        {
            if (!_closed)
                output.Report(_clock.At(progress));
        }
    }

    public void Clear(bool wait)
    {
        lock (_lock)
        {
            if (!_closed)
            {
                output.Clear(wait);
                _allowance.Renew();
            }
        }
    }

    // Waits for a person, so outside the lock: other threads of the cell write on.
    public string? Ask(string prompt, bool secret)
    {
        bool closed;
        lock (_lock)
            closed = _closed;
        return closed ? null : output.Ask(prompt, secret);
    }

    /// <summary>Has something done when the cell's code has ended, however it has.</summary>
    public void DisposeAtEnd(Func<ValueTask> dispose)
    {
        lock (_lock)
            _disposals.Push(dispose);
    }

    public async Task DisposeAsync()
    {
        while (true)
        {
            Func<ValueTask>? dispose;
            lock (_lock)
            {
                if (!_disposals.TryPop(out dispose))
                    return;
            }
            await dispose();
        }
    }

    public void Close()
    {
        lock (_lock)
            _closed = true;
    }

    private void WriteWhatFits(string stream, string text)
    {
        var kept = _allowance.Take(text, out var exhausted);
        if (kept.Length > 0)
            Write(stream, kept, _closed);
        if (exhausted)
            Write(StreamOutput.Stderr, StreamAllowance.Notice, _closed);
    }

    private void Write(string stream, string text, bool isLate)
    {
        if (isLate)
            output.WriteLate(stream, text);
        else
            output.Write(stream, text);
    }

    /// <summary>A later cell may replace what an earlier one has shown, so what counts is whether the cell that asks for it still runs.</summary>
    private void Replace(Action<MimeBundle> replace, MimeBundle next)
    {
        var asking = Current ?? this;
        lock (asking._lock)
        {
            if (!asking._closed)
                replace(next);
        }
    }
}
