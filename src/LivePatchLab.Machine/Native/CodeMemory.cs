namespace LivePatchLab.Machine;

/// <summary>
/// Where one machine's translations stand: memory mapped twice, once to be written and once to be executed, as hosts that enforce W^X
/// (SELinux's execmem) allow no page both. It is handed out from the start to the end and then emptied as a whole.
/// </summary>
internal sealed unsafe class CodeMemory : IDisposable
{
    private readonly byte* _writable;
    private readonly byte* _executable;

    private readonly long _bytesMax;

    private CodeMemory(byte* writable, byte* executable, long bytesMax)
    {
        _bytesMax = bytesMax;
        _writable = writable;
        _executable = executable;
        Next = writable;
    }

    ~CodeMemory() => Free();

    /// <summary>Where the next byte is written.</summary>
    public byte* Next { get; set; }

    /// <summary>What to add to a place where code is written for the place where it is executed.</summary>
    public long ToExecutable => _executable - _writable;

    public long Used => Next - _writable;

    public long Left => _bytesMax - Used;

    public nint Executable(byte* writable) => (nint)(writable + ToExecutable);

    public byte* Writable(nint executable) => (byte*)executable - ToExecutable;

    public bool Contains(nint executable) => executable >= (nint)_executable && executable < (nint)(_executable + CodeRegion.SlotBytes);

    /// <summary>Null where the host has no more memory or addresses for it.</summary>
    /// <param name="bytesMax">How much of it may be used, up to <see cref="CodeRegion.SlotBytes"/>.</param>
    public static CodeMemory? TryCreate(long bytesMax)
    {
        var slot = CodeRegion.TryTake();
        if (slot == null) return null;
        var file = HostSystem.CreateMemory("livepatch-code", CodeRegion.SlotBytes);
        var writable = file < 0 ? null : HostSystem.TryMap(null, CodeRegion.SlotBytes, HostSystem.ProtRead | HostSystem.ProtWrite, HostSystem.MapShared, file);
        var executable = writable == null ? null
            : HostSystem.TryMap(slot, CodeRegion.SlotBytes, HostSystem.ProtRead | HostSystem.ProtExecute, HostSystem.MapShared | HostSystem.MapFixed, file);
        if (file >= 0) HostSystem.CloseMemory(file);
        if (executable != null) return new(writable, executable, bytesMax);
        if (writable != null) HostSystem.Unmap(writable, CodeRegion.SlotBytes);
        CodeRegion.Return(slot);
        return null;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private bool _isFreed;

    private void Free()
    {
        if (_isFreed) return;
        _isFreed = true;
        HostSystem.Unmap(_writable, CodeRegion.SlotBytes);
        CodeRegion.Return(_executable);
    }
}
