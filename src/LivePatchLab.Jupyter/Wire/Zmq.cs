using System.Reflection;
using System.Runtime.InteropServices;
using LivePatchLab.Linux;

namespace LivePatchLab.Jupyter;

/// <summary>The functions of libzmq that a kernel needs.</summary>
internal static unsafe partial class Zmq
{
    public const int Rep = 4, Dealer = 5, Router = 6, Pull = 7, Push = 8, Sub = 2, Req = 3, XPub = 9;
    public const int Identity = 5, Subscribe = 6, Linger = 17, MaxMessageSize = 22, SendHighWaterMark = 23, ReceiveTimeout = 27, LastEndpoint = 32, RouterHandover = 56, XPubVerbose = 40;
    public const int DoNotWait = 1, SendMore = 2, PollIn = 1;

    private const string Library = "libzmq.so.5";
    private const int FirstOwnError = 156384712;

    public const int AddressInUse = 98, TryAgain = 11, Interrupted = 4, Terminated = FirstOwnError + 53;

    /// <summary>The names that it has on the systems where it is found.</summary>
    private static readonly string[] Names = [Library, "libzmq", "libzmq.5.dylib"];

    static Zmq() => NativeLibrary.SetDllImportResolver(typeof(Zmq).Assembly, (name, assembly, path) => name == Library ? Load(assembly, path) : 0);

    public static bool IsHere => Load(typeof(Zmq).Assembly, null) != 0;

    /// <exception cref="UnsupportedInputException">The library is not installed.</exception>
    public static void Require()
    {
        if (!IsHere) throw new UnsupportedInputException("the Jupyter kernel needs libzmq, which is not here: apt-get install libzmq5 (Debian), brew install zeromq (macOS)");
    }

    private static nint Load(Assembly assembly, DllImportSearchPath? path)
    {
        foreach (var name in Names)
            if (NativeLibrary.TryLoad(name, assembly, path, out var library)) return library;
        return 0;
    }

    [LibraryImport(Library, EntryPoint = "zmq_ctx_new", SetLastError = true)]
    public static partial nint NewContext();

    [LibraryImport(Library, EntryPoint = "zmq_ctx_shutdown", SetLastError = true)]
    public static partial int ShutdownContext(nint context);

    [LibraryImport(Library, EntryPoint = "zmq_ctx_term", SetLastError = true)]
    public static partial int TerminateContext(nint context);

    [LibraryImport(Library, EntryPoint = "zmq_socket", SetLastError = true)]
    public static partial nint NewSocket(nint context, int type);

    [LibraryImport(Library, EntryPoint = "zmq_close", SetLastError = true)]
    public static partial int CloseSocket(nint socket);

    [LibraryImport(Library, EntryPoint = "zmq_setsockopt", SetLastError = true)]
    public static partial int SetOption(nint socket, int option, void* value, nuint size);

    [LibraryImport(Library, EntryPoint = "zmq_bind", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Bind(nint socket, string endpoint);

    [LibraryImport(Library, EntryPoint = "zmq_connect", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Connect(nint socket, string endpoint);

    [LibraryImport(Library, EntryPoint = "zmq_send", SetLastError = true)]
    public static partial int Send(nint socket, byte* data, nuint size, int flags);

    [LibraryImport(Library, EntryPoint = "zmq_msg_init", SetLastError = true)]
    public static partial int InitFrame(ref Frame frame);

    [LibraryImport(Library, EntryPoint = "zmq_msg_recv", SetLastError = true)]
    public static partial int Receive(ref Frame frame, nint socket, int flags);

    [LibraryImport(Library, EntryPoint = "zmq_msg_data")]
    public static partial byte* Data(ref Frame frame);

    [LibraryImport(Library, EntryPoint = "zmq_msg_size")]
    public static partial nuint Size(ref Frame frame);

    [LibraryImport(Library, EntryPoint = "zmq_msg_more")]
    public static partial int More(ref Frame frame);

    [LibraryImport(Library, EntryPoint = "zmq_msg_close", SetLastError = true)]
    public static partial int CloseFrame(ref Frame frame);

    [LibraryImport(Library, EntryPoint = "zmq_poll", SetLastError = true)]
    public static partial int Poll(PollItem* items, int count, long milliseconds);

    [LibraryImport(Library, EntryPoint = "zmq_strerror")]
    private static partial nint ErrorText(int error);

    public static string Explain(int error) => Marshal.PtrToStringUTF8(ErrorText(error)) ?? $"error {error}";

    /// <summary>zmq_msg_t: 64 bytes that belong to the library.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Frame
    {
#pragma warning disable CS0169 // The library's, not ours.
        private fixed ulong _words[8];
#pragma warning restore CS0169
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct PollItem
    {
        public nint Socket;
        public int FileDescriptor;
        public short Events;
        public short Happened;
    }
}

/// <summary>libzmq refused something.</summary>
internal sealed class ZmqException(string what, int error) : IOException($"{what}: {Zmq.Explain(error)}")
{
    public int Error => error;
}

/// <summary>The context is being shut down: whoever waits at a socket has to close it and leave.</summary>
internal sealed class ZmqTerminatedException() : Exception("the sockets are closed");
