using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>What the translator needs of the host: Linux's memory and signal calls, and a processor with the instructions that leave flags alone.</summary>
internal static unsafe partial class HostSystem
{
    public const int ProtNone = 0, ProtRead = 1, ProtWrite = 2, ProtExecute = 4;

    public const int MapShared = 1, MapPrivate = 2, MapFixed = 0x10, MapAnonymous = 0x20, MapLow = 0x40, MapNoReserve = 0x4000;

    private const int ArchPrctl = 158, ArchSetGs = 0x1001;

    private const uint CloseOnExec = 1;

    [ThreadStatic]
    private static nint _gsBase;

    /// <summary>Why this host cannot run translated code; null when it can.</summary>
    public static string? Obstacle { get; } = FindObstacle();

    /// <summary>Memory without a name in any file system, that can be mapped more than once; -1 where the host has none.</summary>
    public static int CreateMemory(string name, long bytes)
    {
        var file = MemoryFile(name, CloseOnExec);
        if (file < 0) return -1;
        if (Truncate(file, bytes) == 0) return file;
        Close(file);
        return -1;
    }

    public static void CloseMemory(int file) => Close(file);

    /// <exception cref="Win32Exception">The host refuses.</exception>
    public static byte* Map(byte* address, long bytes, int protection, int flags, int file, long offset = 0)
    {
        var mapped = MapMemory((nint)address, (nuint)bytes, protection, flags, file, (nint)offset);
        return mapped != -1 ? (byte*)mapped : throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    /// <summary>As <see cref="Map"/>; null where the host refuses.</summary>
    public static byte* TryMap(byte* address, long bytes, int protection, int flags, int file)
    {
        var mapped = MapMemory((nint)address, (nuint)bytes, protection, flags, file, 0);
        return mapped != -1 ? (byte*)mapped : null;
    }

    public static void Unmap(byte* address, long bytes)
    {
        if (address != null && UnmapMemory((nint)address, (nuint)bytes) != 0) throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    public static void Protect(byte* address, long bytes, int protection)
    {
        if (ProtectMemory((nint)address, (nuint)bytes, protection) != 0) throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    /// <summary>Points GS of the calling thread at a machine's memory. Neither glibc nor .NET uses GS on Linux.</summary>
    public static void UseGsBase(nint address)
    {
        if (_gsBase == address) return;
        if (SystemCall(ArchPrctl, ArchSetGs, address) != 0) throw new Win32Exception(Marshal.GetLastPInvokeError());
        _gsBase = address;
    }

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    public static partial int SignalAction(int signal, SignalHandling* handling, SignalHandling* before);

    private static string? FindObstacle()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return "it needs Linux on an x86-64 processor";
        return Environment.SystemPageSize == GuestMemory.PageBytes ? null : "it needs a host with pages of 4096 bytes";
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int MemoryFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Truncate(int file, long bytes);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MapMemory(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int UnmapMemory(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int ProtectMemory(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second);
}

/// <summary>struct sigaction of glibc on x86-64.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SignalHandling
{
    public nint Handler;
    public fixed ulong Mask[16];
    public int Flags;
    public nint Restorer;
}
