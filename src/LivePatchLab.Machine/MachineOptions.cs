namespace LivePatchLab.Machine;

/// <summary>What a machine is made of.</summary>
public sealed record MachineOptions
{
    public const int CpusMax = 1024;

    /// <summary>1 to <see cref="CpusMax"/>.</summary>
    public int Cpus
    {
        get;
        init => field = value is >= 1 and <= CpusMax
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"a machine has 1 to {CpusMax} CPUs");
    } = 2;

    public CostModel Costs { get; init; } = CostModel.Unit;

    public FetchModel Fetch { get; init; } = FetchModel.Ideal;

    /// <summary>How stores of kernel variables reach the other CPUs. Anything but sequential consistency is for machines that are explored.</summary>
    public MemoryOrder MemoryOrder { get; init; } = MemoryOrder.SequentiallyConsistent;

    /// <summary>Where chance comes from.</summary>
    public IChoiceSource Choices { get; init; } = new SeededChoices(new Seed(1));

    /// <summary>What executes guest code; every outcome is the same.</summary>
    /// <exception cref="PlatformNotSupportedException">By <see cref="SmpMachine(MachineOptions)"/>: the translator was asked for, and this host cannot run it.</exception>
    public ExecutionEngine Engine { get; init; } = ExecutionEngine.Auto;

    /// <summary>
    /// A clock of the host's, by which <see cref="EngineStatistics.TranslationTime"/> is measured; null to measure nothing. For statistics only: no outcome
    /// depends on what it says.
    /// </summary>
    public Func<TimeSpan>? HostClock { get; init; }

    /// <summary>Native code beyond this is forgotten, all of it, and made anew as it is asked for; less than all that can be had is for tests.</summary>
    internal long TranslationBytesMax
    {
        get;
        init => field = value is >= NativeCache.LeastBytes and <= CodeRegion.SlotBytes
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"translations take {NativeCache.LeastBytes} to {CodeRegion.SlotBytes} bytes");
    } = CodeRegion.SlotBytes;

    /// <summary>What <see cref="HotInstructions"/> is when nobody says otherwise.</summary>
    internal const int HotInstructionsUsual = 16_384;

    /// <summary>How long an address is interpreted under <see cref="ExecutionEngine.Auto"/> before it is translated, in instructions; less than the usual is for tests of the change from one to the other.</summary>
    internal int HotInstructions { get; init; } = HotInstructionsUsual;

    /// <summary>The processor that is translated for; another than the host's own is for tests.</summary>
    internal NativeHost Host { get; init; } = NativeHost.Own;

    /// <summary>How long a turn is of a CPU with nobody to wait for, in cycles: so that <see cref="SmpMachine.Run"/> still looks at its cancellation now and then.</summary>
    internal long LoneTurnCycles { get; init; } = 10_000_000;

    /// <summary>
    /// The most cycles by which a CPU may run ahead of the one furthest behind; how many it is each time is asked of chance. No
    /// signal between CPUs travels faster than an IPI, so a quantum below its latency lands every IPI in time.
    /// </summary>
    public int QuantumCyclesMax
    {
        get;
        init => field = value >= 1 ? value : throw new ArgumentOutOfRangeException(nameof(value), value, "a quantum has at least 1 cycle");
    } = 100;
}
