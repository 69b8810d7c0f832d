using System.Text;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>
/// The socket that all frontends listen to. One thread owns it; whoever has something to say hands it over through a socket inside the process, so that what one
/// thread says stays in order. A frontend that subscribes is welcomed, and knows from then on that it misses nothing.
/// </summary>
internal sealed class IOPub : IDisposable
{
    private const string Inside = "inproc://iopub";

    private readonly Lock _lock = new();
    private readonly MessageCodec _codec;
    private readonly ZmqSocket _push;
    private readonly Thread _thread;
    private bool _closed;

    /// <param name="context">Of all the kernel's sockets.</param>
    /// <param name="socket">The bound XPUB socket; it is this object's from now on.</param>
    /// <param name="codec">Signs what is said.</param>
    public IOPub(nint context, ZmqSocket socket, MessageCodec codec)
    {
        _codec = codec;
        var pull = new ZmqSocket(context, Zmq.Pull).Bind(Inside);
        _push = new ZmqSocket(context, Zmq.Push).Connect(Inside);
        _thread = new Thread(() => Forward(pull, socket)) { IsBackground = true, Name = "Jupyter iopub" };
        _thread.Start();
    }

    /// <param name="request">What it answers; null for what the kernel says by itself.</param>
    /// <param name="type">"stream", "display_data", …</param>
    /// <param name="content">Its content.</param>
    public void Publish(JupyterRequest? request, string type, JsonObject content)
    {
        var frames = _codec.Write([Encoding.ASCII.GetBytes(type)], type, request?.Header, content);
        lock (_lock)
            if (!_closed) _push.Send(frames);
    }

    public void Status(JupyterRequest? request, string state) => Publish(request, "status", new() { ["execution_state"] = state });

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
                    while (socket.Receive(wait: false) is { } subscription) Welcome(socket, subscription);
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

    private void Welcome(ZmqSocket socket, IReadOnlyList<byte[]> subscription)
    {
        // A first byte of 1 subscribes to the topic that follows, 0 ends a subscription.
        if (subscription is not [[1, .. var topic]]) return;
        socket.Send(_codec.Write([topic], "iopub_welcome", null, new() { ["subscription"] = Encoding.UTF8.GetString(topic) }));
    }
}
