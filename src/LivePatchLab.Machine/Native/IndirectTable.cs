namespace LivePatchLab.Machine;

/// <summary>
/// Where indirect jumps and returns of translated code find a unit: by the low 16 bits of the target, the last one entered there wins. Those with too little left for
/// a unit find precise code by the low 12 bits, for there are few of them: one a turn, at most.
/// It stands in the lowest 2 GiB of the host's addresses, so that a jump can name it by 32 bits and needs no register for it.
/// </summary>
internal sealed unsafe class IndirectTable : IDisposable
{
    public const int PreciseEntries = 1 << 12;

    private const int Entries = 1 << 16;

    private const long Bytes = (Entries + PreciseEntries) * 8L;

    private readonly nint* _entries;
    private nint _miss;
    private bool _isFreed;

    private IndirectTable(nint* entries) => _entries = entries;

    ~IndirectTable() => Free();

    public int Address => (int)(nint)_entries;

    public int PreciseAddress => (int)(nint)Precise;

    private nint* Precise => _entries + Entries;

    /// <summary>Null where the host has no such addresses left.</summary>
    public static IndirectTable? TryCreate()
    {
        var entries = HostSystem.TryMap(null, Bytes, HostSystem.ProtRead | HostSystem.ProtWrite, HostSystem.MapPrivate | HostSystem.MapAnonymous | HostSystem.MapLow, -1);
        return entries == null ? null : new((nint*)entries);
    }

    /// <summary>Has every target lead to the same place.</summary>
    public void Clear(nint miss)
    {
        _miss = miss;
        new Span<nint>(_entries, Entries + PreciseEntries).Fill(miss);
    }

    public void Set(ulong target, nint code) => _entries[(ushort)target] = code;

    public void Remove(ulong target, nint code)
    {
        if (_entries[(ushort)target] == code) _entries[(ushort)target] = _miss;
    }

    public void SetPrecise(ulong target, nint code) => Precise[target & (PreciseEntries - 1)] = code;

    public void RemovePrecise(ulong target, nint code)
    {
        if (Precise[target & (PreciseEntries - 1)] == code) Precise[target & (PreciseEntries - 1)] = _miss;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_isFreed) return;
        _isFreed = true;
        HostSystem.Unmap((byte*)_entries, Bytes);
    }
}
