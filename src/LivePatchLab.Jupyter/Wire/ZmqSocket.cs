using System.Runtime.InteropServices;

namespace LivePatchLab.Jupyter;

/// <summary>A socket of libzmq that carries multipart messages. It belongs to one thread at a time.</summary>
internal sealed unsafe class ZmqSocket : IDisposable
{
    private nint _socket;

    public ZmqSocket(nint context, int type)
    {
        _socket = Zmq.NewSocket(context, type);
        if (_socket == 0) throw Failure("a socket cannot be made");
        Set(Zmq.Linger, 1000);
    }

    public nint Handle => _socket;

    public ZmqSocket Set(int option, int value)
    {
        Check(Zmq.SetOption(_socket, option, &value, sizeof(int)), $"socket option {option}");
        return this;
    }

    public ZmqSocket Set(int option, long value)
    {
        Check(Zmq.SetOption(_socket, option, &value, sizeof(long)), $"socket option {option}");
        return this;
    }

    public ZmqSocket Set(int option, ReadOnlySpan<byte> value)
    {
        fixed (byte* bytes = value) Check(Zmq.SetOption(_socket, option, bytes, (nuint)value.Length), $"socket option {option}");
        return this;
    }

    public ZmqSocket Bind(string endpoint)
    {
        Check(Zmq.Bind(_socket, endpoint), $"cannot listen at {endpoint}");
        return this;
    }

    public ZmqSocket Connect(string endpoint)
    {
        Check(Zmq.Connect(_socket, endpoint), $"cannot connect to {endpoint}");
        return this;
    }

    public void Send(params IReadOnlyList<byte[]> frames)
    {
        for (var i = 0; i < frames.Count; i++)
        {
            var flags = i + 1 < frames.Count ? Zmq.SendMore : 0;
            fixed (byte* bytes = frames[i])
            {
                while (Zmq.Send(_socket, bytes, (nuint)frames[i].Length, flags) < 0)
                    if (Marshal.GetLastPInvokeError() != Zmq.Interrupted) throw Failure("cannot send");
            }
        }
    }

    /// <summary>All frames of the next message, or null when there is none now (or, waiting, none before the socket's timeout).</summary>
    public IReadOnlyList<byte[]>? Receive(bool wait = true)
    {
        var frames = new List<byte[]>();
        while (true)
        {
            var frame = new Zmq.Frame();
            Check(Zmq.InitFrame(ref frame), "cannot receive");
            try
            {
                while (Zmq.Receive(ref frame, _socket, wait ? 0 : Zmq.DoNotWait) < 0)
                {
                    var error = Marshal.GetLastPInvokeError();
                    if (error == Zmq.TryAgain) return null;
                    if (error != Zmq.Interrupted) throw Failure("cannot receive");
                }

                frames.Add(new ReadOnlySpan<byte>(Zmq.Data(ref frame), checked((int)Zmq.Size(ref frame))).ToArray());
                if (Zmq.More(ref frame) == 0) return frames;
            }
            finally
            {
                _ = Zmq.CloseFrame(ref frame);
            }
        }
    }

    public void Dispose()
    {
        if (_socket == 0) return;
        _ = Zmq.CloseSocket(_socket);
        _socket = 0;
    }

    private static void Check(int result, string what)
    {
        if (result < 0) throw Failure(what);
    }

    private static Exception Failure(string what)
    {
        var error = Marshal.GetLastPInvokeError();
        return error == Zmq.Terminated ? new ZmqTerminatedException() : new ZmqException(what, error);
    }
}
