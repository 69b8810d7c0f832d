using System.Text;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>What all frontends listen to. One that subscribes is welcomed, and knows from then on that it misses nothing.</summary>
internal sealed class IOPub : IDisposable
{
    private readonly MessageCodec _codec;
    private readonly SharedSocket _socket;

    /// <param name="context">Of all the kernel's sockets.</param>
    /// <param name="socket">The bound XPUB socket; it is this object's from now on.</param>
    /// <param name="codec">Signs what is said.</param>
    public IOPub(nint context, ZmqSocket socket, MessageCodec codec)
    {
        _codec = codec;
        _socket = new(context, socket, "iopub", Welcome);
    }

    /// <param name="request">What it answers; null for what the kernel says by itself.</param>
    /// <param name="type">"stream", "display_data", …</param>
    /// <param name="content">Its content.</param>
    public void Publish(JupyterRequest? request, string type, JsonObject content)
        => _socket.Send(_codec.Write([Encoding.ASCII.GetBytes(type)], type, request?.Header, content));

    public void Status(JupyterRequest? request, string state) => Publish(request, "status", new() { ["execution_state"] = state });

    /// <summary>Sends what has been handed over, and closes.</summary>
    public void Dispose() => _socket.Dispose();

    private void Welcome(ZmqSocket socket, IReadOnlyList<byte[]> subscription)
    {
        // A first byte of 1 subscribes to the topic that follows, 0 ends a subscription.
        if (subscription is not [[1, .. var topic]]) return;
        socket.Send(_codec.Write([topic], "iopub_welcome", null, new() { ["subscription"] = Encoding.UTF8.GetString(topic) }));
    }
}
