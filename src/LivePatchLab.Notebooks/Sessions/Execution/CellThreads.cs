using System.Diagnostics;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>
/// The threads on which a cell's own code runs, what follows its awaits included: what waits on a thread of ours can be woken. An interrupt climbs a ladder. The token
/// asks. Then the checks that were written into the cell's loops throw (<see cref="InterruptChecks"/>). What waits is woken. What is awaited is awaited no more, and what
/// would follow never runs. A cell that even that does not reach, as one in a long call into a library, is left behind, and the user is told so.
/// </summary>
/// <remarks>
/// No thread is aborted. .NET offers it to hosts of scripts (ControlledExecution), and it stops most loops within 20 ms; but an abort may come in the middle of anything,
/// and .NET 10 on Linux ended the process several times ("terminate called after throwing an instance of 'PAL_SEHException'"). A kernel that lives on with all its
/// variables, beside one thread that still computes, is worth more than that thread. The lab's own machines look at the token in every quantum and tell of it
/// (<see cref="CallerCancellation"/>); while one of them runs, nothing is woken.
/// </remarks>
internal sealed class CellThreads : SynchronizationContext
{
    /// <summary>Code that waits for its own tasks holds a thread for each; beyond so many the pool's threads serve, which cannot be woken.</summary>
    private const int ThreadsMax = 16;

    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(30);
    private static readonly TimeSpan PatienceWithChecks = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PatienceWithMachines = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan WakeInterval = TimeSpan.FromMilliseconds(15);
    private static readonly TimeSpan PatienceInAll = TimeSpan.FromSeconds(2);

    private readonly CancellationToken _token;
    private readonly CallerCancellation _caller;
    private readonly ManualResetEventSlim _ended = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<Work> _waiting = new();
    private readonly HashSet<Thread> _busy = [];
    private readonly object _lock = new();
    private int _threads;
    private int _idle;
    private End _end = End.None;

    public CellThreads(CancellationToken token)
    {
        _token = token;
        _caller = new(token);
    }

    private enum End
    {
        None,

        /// <summary>The cell has ended; what it left awaiting goes on in the pool.</summary>
        Finished,

        /// <summary>The cell was stopped; what it left awaiting never goes on.</summary>
        Stopped,
    }

    /// <summary>Runs something on these threads to its end. To be called once.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <exception cref="CellLeftBehindException">It could not be stopped.</exception>
    public async Task<T> RunAsync<T>(Func<Task<T>> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        CallerCancellation.Current = _caller;
        lock (_lock)
            _waiting.Enqueue(new(_ => _ = FinishAsync(work, done), null));
        // This one takes the flow of execution along, by which output finds its cell.
        NewThread().Start();
        using var asked = _token.UnsafeRegister(_ => new Thread(Stop) { IsBackground = true, Name = "notebook interrupt" }.UnsafeStart(), null);
        try
        {
            await Task.WhenAny(done.Task, _stopped.Task).ConfigureAwait(false);
            if (!done.Task.IsCompleted)
                await _stopped.Task.ConfigureAwait(false);
            return await done.Task.ConfigureAwait(false);
        }
        finally
        {
            Close(done.Task.IsCompletedSuccessfully || !_token.IsCancellationRequested ? End.Finished : End.Stopped);
        }
    }

    /// <summary>Where what follows an await goes: to a thread that has nothing to do, or to a new one, since the others may be waiting for just this.</summary>
    public override void Post(SendOrPostCallback callback, object? state)
    {
        var work = new Work(callback, state);
        lock (_lock)
        {
            var isIdle = _idle > _waiting.Count;
            if (_end == End.None && (isIdle || _threads < ThreadsMax))
            {
                _waiting.Enqueue(work);
                if (isIdle)
                    Monitor.Pulse(_lock);
                else
                    NewThread().UnsafeStart();
            }
            else if (_end != End.Stopped)
            {
                ThreadPool.UnsafeQueueUserWorkItem(RunForgotten, work, preferLocal: false);
            }
        }
    }

    public override SynchronizationContext CreateCopy() => this;

    private static async Task FinishAsync<T>(Func<Task<T>> work, TaskCompletionSource<T> done)
    {
        try
        {
            done.TrySetResult(await work());
        }
        catch (Exception failure)
        {
            done.TrySetException(failure);
        }
    }

    private static void RunForgotten(Work work)
    {
        try
        {
            work.Callback(work.State);
        }
        catch (Exception failure)
        {
            // Of an async void method that nobody waits for. It must not end the process, and there is no cell any more to show it under.
            Console.Error.WriteLine($"livepatch: {failure.GetType().Name} in code that a cell has left running: {failure.Message.ReplaceLineEndings(" ")}");
        }
    }

    private Thread NewThread()
    {
        _threads++;
        return new(Serve, CellStack.Bytes) { IsBackground = true, Name = "notebook cell" };
    }

    private void Serve()
    {
        CellStack.Begin();
        SetSynchronizationContext(this);
        try
        {
            while (Take() is { } work)
            {
                try
                {
                    work.Callback(work.State);
                }
                catch (Exception failure)
                {
                    // An async void method has thrown, and the cell fails with it.
                    _stopped.TrySetException(failure);
                }
            }
        }
        catch (ThreadInterruptedException)
        {
            // Woken too late, when the cell's code had just ended: this thread has nothing more to do.
        }
        finally
        {
            lock (_lock)
            {
                _busy.Remove(Thread.CurrentThread);
                _threads--;
            }
        }
    }

    /// <summary>Waits for something to do; null when there will be nothing, or when another thread waits already.</summary>
    private Work? Take()
    {
        lock (_lock)
        {
            _busy.Remove(Thread.CurrentThread);
            while (_waiting.Count == 0)
            {
                if (_end != End.None || _idle > 0)
                    return null;
                _idle++;
                try
                {
                    Monitor.Wait(_lock);
                }
                finally
                {
                    _idle--;
                }
            }
            _busy.Add(Thread.CurrentThread);
            return _waiting.Dequeue();
        }
    }

    private void Close(End end)
    {
        Work[] left;
        lock (_lock)
        {
            _end = end;
            left = [.. _waiting];
            _waiting.Clear();
            Monitor.PulseAll(_lock);
        }
        _ended.Set();
        foreach (var work in end == End.Finished ? left : [])
            Post(work.Callback, work.State);
    }

    /// <summary>The ladder. On a thread of its own, since the pool's may all be busy with what is to be stopped.</summary>
    private void Stop()
    {
        var asked = Stopwatch.GetTimestamp();
        if (_ended.Wait(Patience))
            return;
        CellInterruption.Begin();
        if (_ended.Wait(PatienceWithChecks) || WakeUntilEnded(asked))
            CellInterruption.End();
    }

    /// <summary>False when the cell is left behind: the checks in it stay on, so that it stops where it first can.</summary>
    private bool WakeUntilEnded(long asked)
    {
        while (_caller.IsListenedTo && Stopwatch.GetElapsedTime(asked) < PatienceWithMachines)
        {
            if (_ended.Wait(TimeSpan.FromMilliseconds(2)))
                return true;
        }
        if (!IsBusy())
            _stopped.TrySetException(new OperationCanceledException(_token));
        do
        {
            if (Stopwatch.GetElapsedTime(asked) > PatienceInAll)
                return !_stopped.TrySetException(new CellLeftBehindException());
            Wake();
        }
        while (!_ended.Wait(WakeInterval));
        return true;
    }

    private void Wake()
    {
        lock (_lock)
        {
            foreach (var thread in _busy)
                thread.Interrupt();
        }
    }

    private bool IsBusy()
    {
        lock (_lock)
            return _busy.Count > 0;
    }

    private sealed record Work(SendOrPostCallback Callback, object? State);
}

/// <summary>An interrupted cell has not stopped.</summary>
internal sealed class CellLeftBehindException() : Exception("interrupted, but a call in it does not stop and still computes in the background; all variables live on; restart to be rid of it");
