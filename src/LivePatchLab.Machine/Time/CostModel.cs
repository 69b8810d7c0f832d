namespace LivePatchLab.Machine;

/// <summary>
/// What everything costs on one kind of machine, in cycles. A model has no figure for "one synchronisation": that cost
/// comes about from the IPIs, the serialising, and how long each CPU keeps its interrupts off.
/// </summary>
public sealed record CostModel
{
    public required string Name { get; init; }

    /// <summary>One sentence: which machine this is, and how far its figures can be trusted.</summary>
    public required string Description { get; init; }

    /// <summary>Cycles in a second; turns clocks into seconds.</summary>
    public required long FrequencyHz { get; init; }

    /// <summary>What one guest instruction takes.</summary>
    public CostFigure Instruction { get; init; } = OneCycle;

    /// <summary>What the sender pays to enqueue a function for one CPU and to ring its APIC.</summary>
    public CostFigure IpiSend { get; init; } = OneCycle;

    /// <summary>From the sender's write until the target's core begins to take the interrupt.</summary>
    public CostFigure IpiLatency { get; init; } = OneCycle;

    /// <summary>The most that chance adds to <see cref="IpiLatency"/>.</summary>
    public CostFigure IpiJitter { get; init; } = Nothing;

    /// <summary>Waking a halted CPU: C-state exit, or the hypervisor putting a halted virtual CPU back on a core.</summary>
    public CostFigure IdleExit { get; init; } = Nothing;

    /// <summary>Delivery of an interrupt and the entry code up to the handler.</summary>
    public CostFigure InterruptEntry { get; init; } = OneCycle;

    /// <summary>IRET, with the exit code before it.</summary>
    public CostFigure InterruptExit { get; init; } = OneCycle;

    /// <summary>sync_core(): one serialising instruction on purpose.</summary>
    public CostFigure Serialise { get; init; } = OneCycle;

    /// <summary>What the sender pays to see one CPU's acknowledgement: a cache line fetched from that CPU.</summary>
    public CostFigure AcknowledgeRead { get; init; } = OneCycle;

    /// <summary>Delivery of #BP and the entry code up to the handler.</summary>
    public CostFigure BreakpointEntry { get; init; } = OneCycle;

    /// <summary>The handler's own work, without its look-up.</summary>
    public CostFigure BreakpointHandler { get; init; } = OneCycle;

    /// <summary>One comparison of the handler's look-up: one for a single address, log2 of the list for a list.</summary>
    public CostFigure LookupStep { get; init; } = Nothing;

    /// <summary>probe_kernel_read() of one site, with its comparison.</summary>
    public CostFigure TextRead { get; init; } = OneCycle;

    /// <summary>text_poke(): maps an alias, writes, unmaps, flushes, serialises itself, reads back.</summary>
    public CostFigure TextPoke { get; init; } = OneCycle;

    /// <summary>probe_kernel_write() through a standing alias, as ftrace wrote in 2012.</summary>
    public CostFigure ProbeWrite { get; init; } = OneCycle;

    /// <summary>Going from one record of a list to the next, with the callbacks that say what to do with it.</summary>
    public CostFigure RecordStep { get; init; } = Nothing;

    /// <summary>A load or store of a kernel variable that is in the cache.</summary>
    public CostFigure VariableAccess { get; init; } = OneCycle;

    /// <summary>Seeing a value that another CPU has just written: one cache-line transfer.</summary>
    public CostFigure CacheMiss { get; init; } = OneCycle;

    public CostFigure Fence { get; init; } = OneCycle;

    /// <summary>Waking the stopper thread of a CPU and switching to it, for stop_machine().</summary>
    public CostFigure StopperWake { get; init; } = OneCycle;

    /// <summary>The model in which every action takes one cycle: for tests, and for looking at steps rather than at costs.</summary>
    public static CostModel Unit { get; } = new()
    {
        Name = "unit",
        Description = "Every action takes one cycle. Says nothing about any real machine.",
        FrequencyHz = 1_000_000_000,
    };

    public double SecondsOf(long cycles) => (double)cycles / FrequencyHz;

    /// <summary>The named figures in the order of their declaration.</summary>
    public IEnumerable<(string Name, CostFigure Figure)> Figures() =>
    [
        (nameof(Instruction), Instruction), (nameof(IpiSend), IpiSend), (nameof(IpiLatency), IpiLatency), (nameof(IpiJitter), IpiJitter),
        (nameof(IdleExit), IdleExit), (nameof(InterruptEntry), InterruptEntry), (nameof(InterruptExit), InterruptExit),
        (nameof(Serialise), Serialise), (nameof(AcknowledgeRead), AcknowledgeRead), (nameof(BreakpointEntry), BreakpointEntry),
        (nameof(BreakpointHandler), BreakpointHandler), (nameof(LookupStep), LookupStep), (nameof(TextRead), TextRead),
        (nameof(TextPoke), TextPoke), (nameof(ProbeWrite), ProbeWrite), (nameof(RecordStep), RecordStep),
        (nameof(VariableAccess), VariableAccess), (nameof(CacheMiss), CacheMiss), (nameof(Fence), Fence), (nameof(StopperWake), StopperWake),
    ];

    private static CostFigure OneCycle => new(1, "unit cost");

    private static CostFigure Nothing => new(0, "not charged");
}
