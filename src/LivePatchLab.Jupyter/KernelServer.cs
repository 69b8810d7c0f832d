using LivePatchLab.Linux;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>
/// A Jupyter kernel: five sockets and their threads around one session. The shell's thread runs the cells; the others have their own, so that a cell
/// that computes can be interrupted and is not taken for dead.
/// </summary>
public sealed class KernelServer
{
    /// <summary>The longest message that is taken; a longer one loses its sender the connection.</summary>
    private const long MessageMax = 64 << 20;

    /// <summary>How long a cell may take to notice that the kernel ends: more than an interrupt may take.</summary>
    private static readonly TimeSpan ShellPatience = TimeSpan.FromSeconds(5);

    private readonly ManualResetEventSlim _stop = new();
    private readonly List<Thread> _threads = [];
    private readonly nint _context;
    private readonly IOPub _iopub;
    private readonly StdinChannel _stdin;
    private readonly RequestDispatcher _dispatcher;

    /// <param name="connection">Where it listens.</param>
    /// <param name="session">What runs the cells.</param>
    /// <param name="memory">At how much held memory a cell is stopped.</param>
    /// <exception cref="UnsupportedInputException">libzmq is not installed.</exception>
    /// <exception cref="BadInputException">A port of the connection file cannot be had.</exception>
    public KernelServer(ConnectionFile connection, NotebookSession session, MemoryCeiling memory)
    {
        Zmq.Require();
        _context = Zmq.NewContext();
        var made = new List<IDisposable>();
        try
        {
            var codec = new MessageCodec(connection.Key);
            var shell = Listen(Zmq.Router, connection.Shell);
            var control = Listen(Zmq.Router, connection.Control);
            var stdin = Listen(Zmq.Router, connection.Stdin);
            var heartbeat = Listen(Zmq.Rep, connection.Heartbeat);
            _iopub = new(_context, Listen(Zmq.XPub, connection.IOPub), codec);
            _stdin = new(_context, stdin, codec);
            _dispatcher = new(session, codec, new(_iopub, _stdin), memory, Stop);
            _iopub.Status(null, "starting");
            Start("shell", () => _dispatcher.Serve(shell, isControl: false));
            Start("control", () => _dispatcher.Serve(control, isControl: true));
            Start("heartbeat", () => Echo(heartbeat));
        }
        catch (ZmqException e)
        {
            foreach (var socket in made) socket.Dispose();
            _ = Zmq.TerminateContext(_context);
            throw new BadInputException(e.Message);
        }

        ZmqSocket Listen(int type, string endpoint)
        {
            var socket = new ZmqSocket(_context, type).Set(Zmq.MaxMessageSize, MessageMax);
            made.Add(socket);
            if (type == Zmq.Router) socket.Set(Zmq.RouterHandover, 1);
            // Verbose: every frontend that subscribes is welcomed, not only the first one.
            if (type == Zmq.XPub) socket.Set(Zmq.XPubVerbose, 1).Set(Zmq.SendHighWaterMark, 100_000);
            return socket.Bind(endpoint);
        }
    }

    /// <summary>Asks the kernel to end; can be called from every thread.</summary>
    public void Stop() => _stop.Set();

    /// <summary>Stops the cell that runs, as an interrupt_request does; can be called from every thread.</summary>
    public void Interrupt() => _dispatcher.Interrupt();

    /// <summary>Waits until somebody asks the kernel to end, and ends it.</summary>
    public void WaitForShutdown()
    {
        _stop.Wait();
        _dispatcher.Interrupt();
        _iopub.Dispose();
        _stdin.Dispose();
        _ = Zmq.ShutdownContext(_context);
        var patience = DateTime.UtcNow + ShellPatience;
        var ended = true;
        foreach (var thread in _threads)
        {
            var left = patience - DateTime.UtcNow;
            ended &= thread.Join(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }

        // With a socket still open this would wait for ever; the process is about to end anyhow.
        if (ended) _ = Zmq.TerminateContext(_context);
    }

    /// <summary>Tells a frontend that the kernel lives.</summary>
    private static void Echo(ZmqSocket heartbeat)
    {
        using (heartbeat)
        {
            try
            {
                while (true) heartbeat.Send(heartbeat.Receive()!);
            }
            catch (ZmqTerminatedException)
            {
                // How the server ends its threads.
            }
        }
    }

    private void Start(string name, ThreadStart run)
    {
        var thread = new Thread(run) { IsBackground = true, Name = "Jupyter " + name };
        _threads.Add(thread);
        thread.Start();
    }
}
