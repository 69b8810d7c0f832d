namespace LivePatchLab.Machine;

/// <summary>How #BP enters its handler.</summary>
public enum GateType
{
    /// <summary>Interrupts are off in the handler, as in Linux since the INT3 protocols exist: an IPI waits for its IRET.</summary>
    Interrupt,

    /// <summary>Interrupts stay as they were: an IPI can be acknowledged from inside the handler.</summary>
    Trap,
}

/// <summary>What a store to code does to the instructions that other CPUs may have fetched already.</summary>
public enum RemoteSnoop
{
    /// <summary>Nothing until they serialise: the worst that the manuals allow.</summary>
    None,

    /// <summary>Every CPU sees the new bytes at once.</summary>
    FlushAll,
}

/// <summary>
/// What a CPU may see when it fetches code that is being changed. Data is always coherent; only fetch may be stale. Memory is
/// cut into aligned chunks; every store to code makes a new version of each chunk that it touches; a fetch sees, chunk by
/// chunk, any version from the CPU's floor to the newest.
/// </summary>
public sealed record FetchModel
{
    public required string Name { get; init; }

    /// <summary>One sentence: which processor this stands for, and by what authority.</summary>
    public required string Description { get; init; }

    /// <summary>Bytes inside one aligned chunk always come from one version; different chunks may differ. 1, 8, 16 or 64.</summary>
    public int AtomicChunkBytes
    {
        get;
        init => field = value is 1 or 8 or 16 or 64
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "an atomic chunk has 1, 8, 16 or 64 bytes");
    } = 64;

    public RemoteSnoop RemoteSnoop { get; init; }

    /// <summary>Versions replaced longer ago than this are seen no more; null means that age alone never makes code fresh.</summary>
    public long? StalenessBoundCycles { get; init; }

    public SerialisingEvents Serialising { get; init; } = SerialisingEvents.Architectural;

    public GateType BreakpointGate { get; init; } = GateType.Interrupt;

    /// <summary>A processor that snoops perfectly: what naive code patching believes in.</summary>
    public static FetchModel Ideal { get; } = new()
    {
        Name = "ideal",
        Description = "A store to code is seen by every CPU at its next instruction. No real processor promises this.",
        RemoteSnoop = RemoteSnoop.FlushAll,
    };

    /// <summary>The least that the manuals promise for cross-modifying code.</summary>
    public static FetchModel SdmWorst { get; } = new()
    {
        Name = "sdm-worst",
        Description = "Every byte may be stale on its own until the CPU serialises: the worst reading of Intel SDM volume 3, \"Handling Self- and Cross-Modifying Code\".",
        AtomicChunkBytes = 1,
        RemoteSnoop = RemoteSnoop.None,
    };

    public static IReadOnlyList<FetchModel> Presets { get; } = [Ideal, SdmWorst];

    public bool Serialises(SerialisingEvents what) => (Serialising & what) != 0;

    public override string ToString() => Name;
}
