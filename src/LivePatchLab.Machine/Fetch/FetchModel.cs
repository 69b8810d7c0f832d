namespace LivePatchLab.Machine;

/// <summary>
/// What a CPU may see when it fetches code that is being changed. Data is always coherent; only fetch may be stale. Memory is
/// cut into aligned chunks; every store to code makes a new version of each chunk that it touches; a fetch sees, chunk by
/// chunk, any version from a floor to the newest, and every knob here bounds which those are. The rules are in
/// ARCHITECTURE.md, "The fetch model, exactly", and what stands behind each in docs/fetch-model.md.
/// </summary>
public sealed partial record FetchModel
{
    public const int QueueDepthMax = 256, MicroOpCacheLinesMax = 512;

    public required string Name { get; init; }

    /// <summary>A sentence or two: which processor this stands for, and by what authority.</summary>
    public required string Description { get; init; }

    /// <summary>Bytes inside one aligned chunk always come from one version; different chunks may differ. 1, 8, 16 or 64.</summary>
    public int AtomicChunkBytes
    {
        get;
        init => field = value is 1 or 8 or 16 or 64
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "an atomic chunk has 1, 8, 16 or 64 bytes");
    } = 64;

    /// <summary>
    /// The bytes of an instruction are captured no earlier than when the CPU executed the instruction this many before it; 0 is as
    /// it executes. 0 to <see cref="QueueDepthMax"/>, or null: there is no bound but serialising.
    /// </summary>
    public int? QueueDepth
    {
        get;
        init => field = value is null or (>= 0 and <= QueueDepthMax)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"a queue holds 0 to {QueueDepthMax} instructions");
    }

    /// <summary>
    /// Straight code in one aligned window of 16, 32 or 64 bytes is captured when the CPU comes into the window; null: each instruction
    /// for itself. It matters where there is a <see cref="QueueDepth"/> and stores are not snooped.
    /// </summary>
    public int? WindowBytes
    {
        get;
        init => field = value is null or 16 or 32 or 64
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "a fetch window has 16, 32 or 64 bytes");
    }

    /// <summary>
    /// Of how many 64-byte lines a CPU keeps what it has decoded, to be executed again without being captured anew; 0 is none, at
    /// most <see cref="MicroOpCacheLinesMax"/>. It matters where there is a <see cref="QueueDepth"/> and stores are not snooped.
    /// </summary>
    public int MicroOpCacheLines
    {
        get;
        init => field = value is >= 0 and <= MicroOpCacheLinesMax
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"a micro-op cache holds 0 to {MicroOpCacheLinesMax} lines");
    }

    public CaptureUnit CaptureUnit { get; init; }

    public RemoteSnoop RemoteSnoop { get; init; }

    public LocalSmc LocalSmc { get; init; }

    /// <summary>Versions replaced longer ago than this are seen no more; null means that age alone never makes code fresh.</summary>
    public long? StalenessBoundCycles
    {
        get;
        init => field = value is null or >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "a staleness bound has 0 cycles or more");
    }

    /// <summary>
    /// False where the instruction cache is not kept coherent: serialising makes a CPU see what a line held when it was last maintained
    /// (<see cref="InvalidateInstructionCache"/>), not what it holds. Nothing is snooped then, the CPU's own stores included.
    /// </summary>
    public bool IcacheCoherent { get; init; } = true;

    public SerialisingEvents Serialising { get; init; } = SerialisingEvents.Architectural;

    public TornDecode TornDecode { get; init; }

    public GateType BreakpointGate { get; init; } = GateType.Interrupt;

    public bool Serialises(SerialisingEvents what) => (Serialising & what) != 0;

    public override string ToString() => Name;
}
