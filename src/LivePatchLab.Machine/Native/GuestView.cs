namespace LivePatchLab.Machine;

/// <summary>
/// A machine's memory as translated code sees it: mapped a second time, with the guest's permissions made the host's. Pages with code
/// may be read and not written, so a store to code is refused like one to what is not mapped, and the interpreter does it. Around the
/// window lies what nothing is ever mapped in, as far as a checked base, an index times 8 and a displacement reach.
/// </summary>
internal sealed unsafe class GuestView : IDisposable
{
    private const long WindowHalf = AddressWindow.Bytes / 2;

    // |base| and |index| stay below 2^32 and a little (NativeChecks), so 2^35 + 2^32 + 2^31 and the little.
    private const long Margin = 44L << 30;

    private readonly byte* _reserved;
    private readonly byte* _flags;

    private GuestView(byte* reserved, byte* flags)
    {
        _reserved = reserved;
        _flags = flags;
    }

    ~GuestView() => Free();

    /// <summary>Host address of guest address 0: what GS holds.</summary>
    public byte* Origin => _reserved + Margin;

    /// <summary>Null where the host has no addresses left.</summary>
    public static GuestView? TryCreate(GuestMemory memory)
    {
        if (memory.File < 0) return null;
        var reserved = HostSystem.TryMap(null, 2 * Margin, HostSystem.ProtNone, HostSystem.MapPrivate | HostSystem.MapAnonymous | HostSystem.MapNoReserve, -1);
        if (reserved == null) return null;
        var view = new GuestView(reserved, memory.PageFlags);
        HostSystem.Map(view.Origin - WindowHalf, AddressWindow.Bytes, HostSystem.ProtNone, HostSystem.MapShared | HostSystem.MapFixed | HostSystem.MapNoReserve, memory.File);
        foreach (var (start, length) in memory.Regions) view.Protect(start, length);
        return view;
    }

    /// <summary>Brings the host's permissions of some pages up to what the guest's are now.</summary>
    public void Protect(GuestAddress start, long length)
    {
        var first = (long)start.Value & ~(long)(GuestMemory.PageBytes - 1);
        var end = (long)start.Value + length;
        while (first < end)
        {
            var protection = ProtectionOf(first);
            var next = first + GuestMemory.PageBytes;
            while (next < end && ProtectionOf(next) == protection) next += GuestMemory.PageBytes;
            HostSystem.Protect(Origin + first, next - first, protection);
            first = next;
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private int ProtectionOf(long page)
    {
        var permissions = (PagePermissions)(_flags[(uint)page >> 12] & 7);

        // What may be written may be read, as in a page table; what may be executed is stored to through the code versions.
        if ((permissions & PagePermissions.Write) != 0)
            return (permissions & PagePermissions.Execute) != 0 ? HostSystem.ProtRead : HostSystem.ProtRead | HostSystem.ProtWrite;
        return (permissions & PagePermissions.Read) != 0 ? HostSystem.ProtRead : HostSystem.ProtNone;
    }

    private bool _isFreed;

    private void Free()
    {
        if (_isFreed) return;
        _isFreed = true;
        HostSystem.Unmap(_reserved, 2 * Margin);
    }
}
