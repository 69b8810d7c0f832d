using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// Translated code does not ask whether an access is permitted: the host's page tables know. An access that they refuse raises
/// SIGSEGV (SIGBUS, SIGFPE for a division, and SIGILL for what this processor has not got after all) with the host's instruction pointer in translated code; a handler of a few instructions,
/// written out by hand below, then sends the thread on to the machine's fault stub, from where it comes back as any other exit.
/// A signal from anywhere else goes to the handler that was there before, .NET's own, with its arguments and registers untouched.
/// </summary>
internal static unsafe class FaultSignals
{
    // Linux, arch/x86/include/uapi/asm/sigcontext.h (v6.1): struct ucontext has the registers behind flags, link and stack.
    private const int ContextRsp = 160, ContextRip = 168;

    private const int IllegalInstruction = 4, BusError = 7, FloatingPoint = 8, SegmentationViolation = 11;

    private static readonly Lock Installing = new();
    private static bool _isInstalled;

    /// <summary>Installs the handlers, once a process.</summary>
    /// <exception cref="Win32Exception">The host refuses.</exception>
    public static void Install()
    {
        lock (Installing)
        {
            if (_isInstalled) return;
            var code = HostSystem.Map(null, GuestMemory.PageBytes, HostSystem.ProtRead | HostSystem.ProtWrite, HostSystem.MapPrivate | HostSystem.MapAnonymous, -1);
            var at = code;
            var handlers = new List<(int Signal, nint Handler)>();
            foreach (var signal in (int[])[IllegalInstruction, SegmentationViolation, BusError, FloatingPoint])
            {
                SignalHandling before;
                if (HostSystem.SignalAction(signal, null, &before) != 0) throw new Win32Exception(Marshal.GetLastPInvokeError());
                handlers.Add((signal, (nint)at));
                at = WriteHandler(at, before.Handler);
            }

            HostSystem.Protect(code, GuestMemory.PageBytes, HostSystem.ProtRead | HostSystem.ProtExecute);
            foreach (var (signal, handler) in handlers)
            {
                SignalHandling handling;
                _ = HostSystem.SignalAction(signal, null, &handling);
                handling.Handler = handler;
                if (HostSystem.SignalAction(signal, &handling, null) != 0) throw new Win32Exception(Marshal.GetLastPInvokeError());
            }

            _isInstalled = true;
        }
    }

    /// <summary>handler(signal, info, context): in EDI, RSI, RDX.</summary>
    private static byte* WriteHandler(byte* at, nint before)
    {
        // 0 and 1 are SIG_DFL and SIG_IGN. .NET has handlers of its own for all of them, so that would be a host this was not made for.
        if (before is 0 or 1) throw new PlatformNotSupportedException("the run-time has no signal handlers of its own");
        void Bytes(params ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(new Span<byte>(at, bytes.Length));
            at += bytes.Length;
        }

        void Word(nint value)
        {
            *(nint*)at = value;
            at += 8;
        }

        Bytes(0x48, 0x8b, 0x82, ContextRip, 0, 0, 0);               // mov rax, [rdx + rip]
        Bytes(0x49, 0xb8);                                          // mov r8, the code region
        Word((nint)CodeRegion.Start);
        Bytes(0x49, 0x89, 0xc1, 0x4d, 0x29, 0xc1);                  // mov r9, rax; sub r9, r8
        Bytes(0x49, 0xb8);                                          // mov r8, its length
        Word((nint)CodeRegion.Bytes);
        Bytes(0x4d, 0x39, 0xc1, 0x73, 0);                           // cmp r9, r8; jae not ours
        var notOurs = at;
        Bytes(0x48, 0x8b, 0x8a, ContextRsp, 0, 0, 0);               // mov rcx, [rdx + rsp]: the frame
        Bytes(0x48, 0x89, 0x41, NativeFrame.FaultAt);               // mov [rcx + fault], rax
        Bytes(0x48, 0x8b, 0x41, NativeFrame.FaultStub);             // mov rax, [rcx + stub]
        Bytes(0x48, 0x89, 0x82, ContextRip, 0, 0, 0);               // mov [rdx + rip], rax
        Bytes(0xc3);                                                // ret
        notOurs[-1] = (byte)(at - notOurs);
        Bytes(0x48, 0xb8);                                          // mov rax, the handler before
        Word(before);
        Bytes(0xff, 0xe0);                                          // jmp rax
        return at;
    }
}
