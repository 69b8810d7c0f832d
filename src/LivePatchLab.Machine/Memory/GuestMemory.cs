using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace LivePatchLab.Machine;

/// <summary>
/// The machine's memory: one flat window of signed 32-bit reach, [-2 GiB, +2 GiB), so that user programs stand low and the
/// kernel at ffffffff80000000 and up, both where they were linked. Data is always coherent; what a CPU sees of it as
/// instructions is decided by the code versions.
/// </summary>
public sealed unsafe class GuestMemory : IDisposable
{
    public const int PageBytes = 4096;

    private readonly AddressWindow _window;
    private readonly List<(GuestAddress Start, long Length)> _regions = [];
    private long _pressureBytes;

    internal GuestMemory(bool isShared = false)
    {
        _window = AddressWindow.Reserve(isShared);
        Origin = _window.Start + (AddressWindow.Bytes / 2);
        PageFlags = _window.PageFlags;
    }

    ~GuestMemory() => Free();

    /// <summary>Host address of guest address 0: host = Origin + (long)guest, for every address in the window.</summary>
    internal byte* Origin { get; }

    /// <summary>What the memory is a mapping of, or -1.</summary>
    internal int File => _window.File;

    /// <summary>Told of pages whose permissions are not what they were.</summary>
    internal Action<GuestAddress, long>? PermissionsChanged { get; set; }

    /// <summary>Told of what is written other than by guests' plain stores, for a machine that is brought back; null where none is.</summary>
    internal StoredLines? Stored { get; set; }

    /// <summary>One byte a page, indexed by (uint)guest &gt;&gt; 12: <see cref="PagePermissions"/>, and the bits of <see cref="PageFlag"/>.</summary>
    internal byte* PageFlags { get; private set; }

    /// <summary>The mapped regions in the order of their mapping.</summary>
    public IReadOnlyList<(GuestAddress Start, long Length)> Regions => _regions;

    /// <summary>Maps zeroed pages, or changes the permissions of pages that are mapped.</summary>
    /// <param name="start">First byte; rounded down to a page.</param>
    /// <param name="length">Bytes; the end is rounded up to a page.</param>
    /// <param name="permissions">What the guest may do there.</param>
    /// <exception cref="ArgumentException">The range is empty or leaves the window.</exception>
    public void Map(GuestAddress start, long length, PagePermissions permissions)
    {
        ObjectDisposedException.ThrowIf(PageFlags == null, this);
        var first = start.AlignDown(PageBytes);
        var last = start + (length - 1);
        if (length <= 0 || !first.IsInWindow || !last.IsInWindow || last < start || (int)first.Value > (int)last.Value)
            throw new ArgumentException($"[{start}, +0x{length:x}) is not a range of the machine's window [ffffffff80000000, 7fffffff]", nameof(length));

        var firstPage = PageOf(first);
        var pages = ((int)last.Value >> 12) - ((int)first.Value >> 12) + 1;
        var fresh = false;
        for (var i = 0; i < pages; i++)
        {
            var flags = &PageFlags[(firstPage + (uint)i) & 0xfffff];
            fresh |= *flags == 0;
            *flags = (byte)((*flags & ~(byte)(PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute)) | (byte)permissions | PageFlag.Mapped);
        }

        PermissionsChanged?.Invoke(first, (long)pages * PageBytes);
        Stored?.AddAll();
        if (!fresh) return;
        _window.Commit(Origin + (long)first.Value - _window.Start, (long)pages * PageBytes);
        if (permissions.HasFlag(PagePermissions.Execute)) _window.PreferLargePages(Origin + (long)first.Value - _window.Start, (long)pages * PageBytes);
        _regions.Add((first, (long)pages * PageBytes));

        // So that machines which nobody disposed of, in a notebook's cells, are collected before they fill the host.
        GC.AddMemoryPressure((long)pages * PageBytes);
        _pressureBytes += (long)pages * PageBytes;
    }

    /// <summary>The permissions of the page of an address; null where nothing is mapped.</summary>
    public PagePermissions? PermissionsAt(GuestAddress address)
    {
        ObjectDisposedException.ThrowIf(PageFlags == null, this);
        if (!address.IsInWindow) return null;
        var flags = PageFlags[PageOf(address)];
        return (flags & PageFlag.Mapped) == 0 ? null : (PagePermissions)(flags & 7);
    }

    /// <summary>Says that somebody will soon look at these bytes: the host may fetch them meanwhile. Changes nothing, wherever the address points.</summary>
    public void Expect(GuestAddress address)
    {
        if (Sse.IsSupported && address.IsInWindow) Sse.Prefetch0(Origin + (long)address.Value);
    }

    /// <summary>Copies guest bytes out, whatever the permissions; false, with nothing copied, where some byte is not mapped.</summary>
    public bool TryRead(GuestAddress address, Span<byte> destination)
    {
        if (!IsMapped(address, destination.Length)) return false;
        new ReadOnlySpan<byte>(Origin + (long)address.Value, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>Copies guest bytes out.</summary>
    /// <exception cref="ArgumentException">Some byte is not mapped.</exception>
    public byte[] Read(GuestAddress address, int length)
    {
        var bytes = new byte[length];
        return TryRead(address, bytes) ? bytes : throw NotMapped(address, length);
    }

    /// <summary>Reads a little-endian 64-bit word, whatever the permissions.</summary>
    /// <exception cref="ArgumentException">Some byte is not mapped.</exception>
    public ulong ReadUInt64(GuestAddress address) => IsMapped(address, 8) ? *(ulong*)(Origin + (long)address.Value) : throw NotMapped(address, 8);

    /// <summary>
    /// Lays bytes down as a loader does, before any CPU has fetched them: no new code version, no permissions asked.
    /// Code that CPUs may run is changed by a store of the code versions alone.
    /// </summary>
    /// <exception cref="ArgumentException">Some byte is not mapped.</exception>
    public void Load(GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        if (!IsMapped(address, bytes.Length)) throw NotMapped(address, bytes.Length);
        bytes.CopyTo(new Span<byte>(Origin + (long)address.Value, bytes.Length));
        Stored?.Add(address, bytes.Length);
    }

    /// <summary>Writes a little-endian 64-bit word as <see cref="Load"/> does.</summary>
    public void LoadUInt64(GuestAddress address, ulong value) => Load(address, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in value)));

    public bool IsMapped(GuestAddress address, int length)
    {
        ObjectDisposedException.ThrowIf(PageFlags == null, this);
        if (length == 0) return address.IsInWindow;
        var last = address + (length - 1);
        if (!address.IsInWindow || !last.IsInWindow || (int)last.Value < (int)address.Value) return false;
        for (var page = (int)address.Value >> 12; page <= (int)last.Value >> 12; page++)
            if ((PageFlags[(uint)page & 0xfffff] & PageFlag.Mapped) == 0) return false;
        return true;
    }

    public void Dispose()
    {
        Free();
        _window.Dispose();
        GC.SuppressFinalize(this);
    }

    internal static uint PageOf(GuestAddress address) => (uint)address.Value >> 12;

    private void Free()
    {
        PageFlags = null;
        if (_pressureBytes > 0) GC.RemoveMemoryPressure(_pressureBytes);
        _pressureBytes = 0;
    }

    private static ArgumentException NotMapped(GuestAddress address, int length)
        => new($"[{address}, +{length}) is not mapped in the machine", nameof(address));
}

/// <summary>Bits of a page's flag byte beside the three of <see cref="PagePermissions"/>.</summary>
internal static class PageFlag
{
    public const byte Mapped = 8;

    /// <summary>Some block of the decoded cache holds bytes of this page.</summary>
    public const byte Decoded = 16;

    /// <summary>Some line of this page has versions that not every CPU must see yet.</summary>
    public const byte Dirty = 32;
}
