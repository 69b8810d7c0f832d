namespace LivePatchLab.Jupyter;

/// <summary>
/// A socket that every thread can send through. One thread owns it; whoever has something to say hands it over through a socket inside the process, so that what one
/// thread says stays in order.
/// </summary>
internal sealed class SharedSocket : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Action<ZmqSocket, IReadOnlyList<byte[]>> _received;
    private readonly ZmqSocket _push;
    private readonly Thread _thread;
    private bool _closed;

    /// <param name="context">Of all the kernel's sockets.</param>
    /// <param name="socket">A bound socket; it is this object's from now on.</param>
    /// <param name="name">"iopub".</param>
    /// <param name="received">Told on the socket's thread what has come in; it can send through the socket that it is given.</param>
    public SharedSocket(nint context, ZmqSocket socket, string name, Action<ZmqSocket, IReadOnlyList<byte[]>> received)
    {
        _received = received;
        var pull = new ZmqSocket(context, Zmq.Pull).Bind("inproc://" + name);
        _push = new ZmqSocket(context, Zmq.Push).Connect("inproc://" + name);
        _thread = new Thread(() => Forward(pull, socket)) { IsBackground = true, Name = "Jupyter " + name };
        _thread.Start();
    }

    public void Send(IReadOnlyList<byte[]> frames)
    {
        lock (_lock)
            if (!_closed) _push.Send(frames);
    }

    /// <summary>Sends what has been handed over, and closes.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_closed) return;
            _closed = true;
            // An empty message is nothing that Jupyter knows: it ends the thread.
            _push.Send((byte[][])[[]]);
            _push.Dispose();
        }

        _thread.Join();
    }

    private unsafe void Forward(ZmqSocket pull, ZmqSocket socket)
    {
        using (pull)
        using (socket)
        {
            var items = stackalloc Zmq.PollItem[2];
            items[0] = new() { Socket = pull.Handle, Events = Zmq.PollIn };
            items[1] = new() { Socket = socket.Handle, Events = Zmq.PollIn };
            while (true)
            {
                _ = Zmq.Poll(items, 2, -1);
                try
                {
                    while (socket.Receive(wait: false) is { } frames) _received(socket, frames);
                    while (pull.Receive(wait: false) is { } frames)
                    {
                        if (frames is [{ Length: 0 }]) return;
                        socket.Send(frames);
                    }
                }
                catch (ZmqTerminatedException)
                {
                    return;
                }
            }
        }
    }
}
