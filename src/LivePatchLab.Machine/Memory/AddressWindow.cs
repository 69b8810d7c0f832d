using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// 4 GiB of host address space in which one machine lives. Host pages appear when first touched: mmap without reserve on
/// Unix, commit on <see cref="Commit"/> on Windows.
/// </summary>
internal sealed unsafe partial class AddressWindow : SafeHandle
{
    public const long Bytes = 1L << 32;

    private const long PageFlagBytes = Bytes / GuestMemory.PageBytes;

    private AddressWindow(nint start, int file) : base(0, ownsHandle: true)
    {
        SetHandle(start);
        File = file;

        // Most of this MiB is never touched: mapped, it costs nothing, where an allocator would clear it for every machine anew.
        PageFlags = (byte*)(OperatingSystem.IsWindows() ? (nint)NativeMemory.AllocZeroed((nuint)PageFlagBytes) : Map(PageFlagBytes));
    }

    /// <summary>A byte for each page of the window, at first 0.</summary>
    public byte* PageFlags { get; }

    /// <summary>What the memory is a mapping of, so that the translator can map it again with the guest's permissions; -1 where it is of nothing.</summary>
    public int File { get; }

    public byte* Start => (byte*)handle;

    public override bool IsInvalid => handle == 0;

    /// <param name="isShared">True where it should be possible to map the memory a second time.</param>
    public static AddressWindow Reserve(bool isShared)
    {
        if (OperatingSystem.IsWindows())
        {
            var reserved = VirtualAlloc(0, unchecked((nuint)Bytes), MemReserve, PageNoAccess);
            return reserved != 0 ? new(reserved, -1) : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        if (isShared && HostSystem.CreateMemory("livepatch-machine", Bytes) is >= 0 and var file)
        {
            var shared = HostSystem.TryMap(null, Bytes, HostSystem.ProtRead | HostSystem.ProtWrite, HostSystem.MapShared | HostSystem.MapNoReserve, file);
            if (shared != null) return new((nint)shared, file);
            HostSystem.CloseMemory(file);
        }

        return new(Map(Bytes), -1);
    }

    /// <summary>
    /// Asks the host for large pages, where it has them to give on request. Patching goes through megabytes of code a few bytes at a time, and with pages of
    /// 4 KiB the host's TLB misses at every site.
    /// </summary>
    public void PreferLargePages(long offset, long length)
    {
        // It is advice: a host without large pages refuses, and all works as before.
        if (OperatingSystem.IsLinux() && length >= LargePageBytes) _ = Madvise(handle + (nint)offset, (nuint)length, AdviseHugePage);
    }

    /// <summary>Makes [offset, offset+length) usable; a no-op where untouched pages are usable already.</summary>
    public void Commit(long offset, long length)
    {
        if (!OperatingSystem.IsWindows() || length == 0) return;
        if (VirtualAlloc(handle + (nint)offset, (nuint)length, MemCommit, PageReadWrite) == 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    protected override bool ReleaseHandle()
    {
        if (OperatingSystem.IsWindows())
        {
            NativeMemory.Free(PageFlags);
            return VirtualFree(handle, 0, MemRelease);
        }

        _ = Munmap((nint)PageFlags, unchecked((nuint)PageFlagBytes));
        if (File >= 0) HostSystem.CloseMemory(File);
        return Munmap(handle, unchecked((nuint)Bytes)) == 0;
    }

    private static nint Map(long bytes)
    {
        var flags = MapPrivate | (OperatingSystem.IsLinux() ? MapAnonymousLinux | MapNoReserveLinux : MapAnonymousMacOS | MapNoReserveMacOS);
        var mapped = Mmap(0, unchecked((nuint)bytes), ProtRead | ProtWrite, flags, -1, 0);
        return mapped != -1 ? mapped : throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    private const int ProtRead = 1, ProtWrite = 2, MapPrivate = 2;
    private const int MapAnonymousLinux = 0x20, MapNoReserveLinux = 0x4000, MapAnonymousMacOS = 0x1000, MapNoReserveMacOS = 0x40;
    private const int AdviseHugePage = 14;
    private const long LargePageBytes = 2 << 20;
    private const uint MemCommit = 0x1000, MemReserve = 0x2000, MemRelease = 0x8000, PageNoAccess = 1, PageReadWrite = 4;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Mmap(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Madvise(nint address, nuint length, int advice);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint VirtualAlloc(nint address, nuint size, uint type, uint protection);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool VirtualFree(nint address, nuint size, uint type);
}
