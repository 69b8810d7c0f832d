using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>What a CPU was busy with for a while.</summary>
public enum SpanKind
{
    /// <summary>Kernel code of the lab, other than what follows.</summary>
    Step,

    /// <summary>Writing text.</summary>
    Write,

    /// <summary>Sending a function-call IPI and waiting until all have answered.</summary>
    Sync,

    /// <summary>Handling a function-call IPI, entry and return included.</summary>
    Interrupt,

    /// <summary>Handling an exception, entry and return included.</summary>
    Trap,
}

/// <summary>Something that a CPU did from one clock to another. Spans of handlers lie upon those of what they interrupt.</summary>
/// <param name="Cpu">Which CPU.</param>
/// <param name="Kind">What sort of thing.</param>
/// <param name="StartCycles">Since the patching began.</param>
/// <param name="EndCycles">Since the patching began.</param>
/// <param name="Text">The first thing in words; later ones of the same kind that followed at once are in the span too.</param>
public readonly record struct CpuSpan(CpuId Cpu, SpanKind Kind, long StartCycles, long EndCycles, string Text)
{
    public long Cycles => EndCycles - StartCycles;
}

/// <summary>A function-call IPI on its way, in cycles since the patching began.</summary>
public readonly record struct IpiFlight(CpuId From, long SentCycles, CpuId To, long TakenCycles);

/// <summary>A time in which the patcher was in one phase of its protocol, in cycles since it began.</summary>
public readonly record struct PhaseSpan(string Name, long StartCycles, long EndCycles);

/// <summary>A patching operation as a timeline: what each CPU did, which IPIs flew, and what was at one site.</summary>
public sealed record PatchRecording
{
    /// <summary>What it did and cost.</summary>
    public required PatchRun Run { get; init; }

    /// <summary>Where the window begins, in cycles since the patching began; 0 for the whole.</summary>
    public long StartCycles { get; init; }

    /// <summary>Where it ends.</summary>
    public required long EndCycles { get; init; }

    /// <summary>What each CPU does when no kernel code runs on it, as it was at the start.</summary>
    public required IReadOnlyList<CpuActivity> Activities { get; init; }

    public required IReadOnlyList<CpuSpan> Spans { get; init; }

    public required IReadOnlyList<IpiFlight> Ipis { get; init; }

    public required IReadOnlyList<PhaseSpan> Phases { get; init; }

    /// <summary>What was at the site that was followed.</summary>
    public required SiteBytes SiteBytes { get; init; }

    /// <summary>How long each CPU stood still for each synchronisation.</summary>
    public required StallRecord Stalls { get; init; }

    /// <summary>How many entries there was no room for: they came after those that are here.</summary>
    public required long LeftOut { get; init; }

    /// <summary>The same, from one moment to another: a closer look.</summary>
    /// <param name="fromSeconds">Since the patching began.</param>
    /// <param name="toSeconds">Since the patching began.</param>
    /// <exception cref="Linux.BadInputException">That is no window of this recording.</exception>
    public PatchRecording Between(double fromSeconds, double toSeconds)
    {
        var perCycle = Run.Costs.SecondsOf(1);
        var (from, to) = ((long)(fromSeconds / perCycle), (long)Math.Ceiling(toSeconds / perCycle));
        if (!(fromSeconds >= 0) || !(toSeconds > fromSeconds) || from >= EndCycles)
            throw new Linux.BadInputException($"from {fromSeconds} s to {toSeconds} s: a window goes from an earlier to a later time, and the recording ends at {Run.Costs.SecondsOf(EndCycles):g3} s");
        return this with
        {
            StartCycles = from,
            EndCycles = Math.Min(to, EndCycles),
            Spans = [.. Spans.Where(span => span.EndCycles >= from && span.StartCycles <= to)],
            Ipis = [.. Ipis.Where(ipi => ipi.TakenCycles >= from && ipi.SentCycles <= to)],
            Phases = [.. Phases.Where(phase => phase.EndCycles >= from && phase.StartCycles <= to)],
        };
    }

    public override string ToString() => $"{Run}; {Spans.Count:N0} spans, {Ipis.Count:N0} IPIs";
}
