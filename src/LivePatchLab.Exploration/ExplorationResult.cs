using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>What came out of exploring a scenario.</summary>
public sealed record ExplorationResult
{
    public required string Scenario { get; init; }

    public required FetchModel Model { get; init; }

    /// <summary>How it was searched: "depth-first", "random walk", "pct", "delay-bounded".</summary>
    public required string Strategy { get; init; }

    public required Verdict Verdict { get; init; }

    /// <summary>How many executions were run for the scenario itself, its control not counted.</summary>
    public required long Executions { get; init; }

    /// <summary>Transitions of all those executions.</summary>
    public required long Transitions { get; init; }

    /// <summary>True when every execution that the bound allows was covered, up to the order of independent transitions.</summary>
    public required bool IsExhaustive { get; init; }

    /// <summary>Under what bound: "all interleavings", "10,000 seeds", "at most 2 delays", "stopped after 100,000 executions".</summary>
    public required string Bound { get; init; }

    /// <summary>What was checked.</summary>
    public required Invariants Checked { get; init; }

    /// <summary>The shortest violating run that was found; null where none was.</summary>
    public Counterexample? Counterexample { get; init; }

    /// <summary>What the deliberately wrong twin of the scenario gave; null where there was none.</summary>
    public ExplorationResult? Control { get; init; }

    /// <summary>What the verdict does not say, in sentences; for a Pass never empty.</summary>
    public IReadOnlyList<string> NotProven { get; init; } = [];

    /// <summary>Why it is Inconclusive or Unsupported; null otherwise.</summary>
    public string? Reason { get; init; }

    /// <summary>What it took here; the one field that two equal runs do not share.</summary>
    public required double HostSeconds { get; init; }

    public double ExecutionsPerSecond => HostSeconds > 0 ? Executions / HostSeconds : 0;
}
