using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>What a machine of the lab is made of.</summary>
public sealed record LabMachineOptions
{
    /// <summary>1 to <see cref="MachineOptions.CpusMax"/>.</summary>
    public int Cpus { get; init; } = 4;

    public CostPreset Costs { get; init; } = CostPreset.Quiet4;

    public FetchModel Fetch { get; init; } = FetchModel.SdmWorst;

    /// <summary>What all chance of the machine is drawn from.</summary>
    public Seed Seed { get; init; } = new(1);

    /// <summary>The sites, laid out at their real addresses. By default those of Debian's 6.1.0-56-cloud.</summary>
    public SiteTable Table { get; init; } = EmbeddedKernels.Debian61Cloud;

    /// <summary>A real kernel whose own text is patched, in place of a text made from <see cref="Table"/>; null for none.</summary>
    public KernelImage? Image { get; init; }

    /// <summary>How many sites, counted from the first; null for every one that the kernel enables.</summary>
    public int? Sites { get; init; }

    /// <summary>What the CPUs do meanwhile; null for what the cost preset says: <see cref="Workload.Loaded"/> where it knows a load, else <see cref="Workload.Idle"/>.</summary>
    public Workload? Workload { get; init; }

    /// <summary>
    /// The most cycles by which a CPU may run ahead of the one furthest behind; null for the IPI latency of the cost model, which no signal
    /// between CPUs undercuts. With 1 the CPUs take turns cycle by cycle: for runs whose every step is to be seen.
    /// </summary>
    public int? QuantumCyclesMax { get; init; }

    /// <summary>
    /// What executes guest code; every outcome is the same, only the host's time differs. CPUs of an experiment take short turns through thousands of functions
    /// that are being patched, where translating took 1.3 to 3 times as long as interpreting (benchmark "busy"), so the interpreter is what it begins with.
    /// </summary>
    public ExecutionEngine Engine { get; init; } = ExecutionEngine.Interpreter;

    internal Workload ActualWorkload => Workload ?? (Costs.Load is null ? Experiments.Workload.Idle : Experiments.Workload.Loaded);
}
