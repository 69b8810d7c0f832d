namespace LivePatchLab.Notebooks;

/// <summary>
/// Code of a cell that the lab calls and that has to come back soon: a protocol's next step. A loop in it that goes on too long is stopped by the checks that every
/// loop of a cell has (<see cref="InterruptChecks"/>), so the exception knows the line. One object a thread; entering and leaving cost two stores, and no clock.
/// </summary>
internal sealed class UserCall
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);
    private static readonly Lock Gate = new();
    private static readonly List<WeakReference<UserCall>> All = [];
    private static Timer? _timer;

    [ThreadStatic]
    private static UserCall? _here;

    private readonly Lock _lock = new();

    // Odd while the cell's code runs.
    private long _turn;
    private long _turnSeen;
    private int _pollsSeen;
    private long _turnStopped;
    private bool _isRaised;

    /// <summary>How many polls a call may last: two seconds.</summary>
    private static int PollsMax => 8;

    /// <summary>How long a call may take before it is stopped.</summary>
    public static TimeSpan Patience => PollInterval * PollsMax;

    /// <summary>The cell's code begins on this thread.</summary>
    public static UserCall Enter()
    {
        var here = _here ??= Register();
        Volatile.Write(ref here._turn, here._turn + 1);
        return here;
    }

    /// <summary>It has come back, or thrown.</summary>
    public void Leave() => Volatile.Write(ref _turn, _turn + 1);

    /// <summary>Has the next check of the call that has been entered throw.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            Volatile.Write(ref _turnStopped, Volatile.Read(ref _turn));
            if (_isRaised) return;
            _isRaised = true;
            CellInterruption.Begin();
        }
    }

    /// <exception cref="UserCallStoppedException">The call that runs on this thread has been stopped.</exception>
    public static void ThrowIfStopped()
    {
        if (_here is { } here && here._turn % 2 == 1 && Volatile.Read(ref here._turnStopped) == here._turn) throw new UserCallStoppedException();
    }

    private static UserCall Register()
    {
        var call = new UserCall();
        lock (Gate)
        {
            All.RemoveAll(each => !each.TryGetTarget(out _));
            All.Add(new(call));
            _timer ??= new(_ => Poll(), null, PollInterval, PollInterval);
        }

        return call;
    }

    private static void Poll()
    {
        lock (Gate)
        {
            foreach (var each in All)
                if (each.TryGetTarget(out var call)) call.Look();
        }
    }

    private void Look()
    {
        var turn = Volatile.Read(ref _turn);
        (_turnSeen, _pollsSeen) = (turn, turn == _turnSeen ? _pollsSeen + 1 : 0);
        if (turn % 2 == 1 && _pollsSeen >= PollsMax && Volatile.Read(ref _turnStopped) != turn) Stop();
        lock (_lock)
        {
            if (!_isRaised || _turnStopped == turn) return;
            _isRaised = false;
            CellInterruption.End();
        }
    }
}

/// <summary>Thrown in a loop of a cell that was called and did not come back in time.</summary>
internal sealed class UserCallStoppedException() : Exception("this loop was stopped: it has to yield a step, or to end");
