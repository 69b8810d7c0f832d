namespace LivePatchLab.Machine.Tests;

/// <summary>The simplest code source: one version of everything, lines declared dirty by the test, and every question recorded.</summary>
internal sealed unsafe class TestCode(GuestMemory memory) : ICodeSource
{
    private readonly HashSet<ulong> _dirtyLines = [];
    private GuestAddress _address;

    public Interpreter? Interpreter { get; set; }

    /// <summary>Bytes asked since the last <see cref="BeginFetch"/>, as offsets.</summary>
    public List<int> Asked { get; } = [];

    public int Fetches { get; private set; }

    public int Stores { get; private set; }

    /// <summary>The instruction that the last fetch ended with.</summary>
    public string Ended { get; private set; } = "";

    /// <summary>What a CPU sees instead of memory, for tests of what fetches get.</summary>
    public Dictionary<ulong, byte> Overlay { get; } = [];

    public void MakeDirty(GuestAddress address)
    {
        _dirtyLines.Add(address.AlignDown(64).Value);
        memory.PageFlags[GuestMemory.PageOf(address)] |= PageFlag.Dirty;
        Interpreter!.InvalidateLine(address.AlignDown(64));
    }

    public void MakeClean(GuestAddress address) => _dirtyLines.Remove(address.AlignDown(64).Value);

    public bool IsDirty(GuestAddress address) => _dirtyLines.Contains(address.AlignDown(64).Value);

    public void BeginFetch(CpuId cpu, GuestAddress address, long retiredInRun)
    {
        _address = address;
        Asked.Clear();
        Fetches++;
    }

    public int FetchByte(int index)
    {
        index.ShouldBe(Asked.Count, "bytes must be asked once each and in order");
        Asked.Add(index);
        var address = _address + index;
        if (memory.PermissionsAt(address) is not { } permissions || (permissions & PagePermissions.Execute) == 0) return -1;
        return Overlay.TryGetValue(address.Value, out var seen) ? seen : memory.Origin[(long)address.Value];
    }

    public FetchCoherence EndFetch(ReadOnlySpan<byte> instruction, bool isBranch, bool isObserved)
    {
        Ended = Convert.ToHexString(instruction) + (isBranch ? " branch" : "");
        return default;
    }

    public int? FaultOf(FetchCoherence coherence) => null;

    public void StoreByGuest(CpuId cpu, GuestAddress address, ReadOnlySpan<byte> bytes, long retiredInRun)
    {
        Stores++;
        Poke(address, bytes);
    }

    /// <summary>Changes code as the machine does: the bytes, and then all that was decoded from their lines.</summary>
    public void Poke(GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        memory.Load(address, bytes);
        var first = address.AlignDown(64);
        var lines = ((address - first) + bytes.Length + 63) / 64;
        for (var i = 0; i < lines; i++) Interpreter!.InvalidateLine(first + (64 * i));
    }
}
