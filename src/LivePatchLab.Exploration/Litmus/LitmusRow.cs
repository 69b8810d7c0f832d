using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>What came out of one litmus test under one model, searched in one way.</summary>
public sealed record LitmusRow
{
    private static readonly string DepthFirstName = new DepthFirst().Name;

    public required LitmusTest Test { get; init; }

    public required FetchModel Model { get; init; }

    /// <summary>What the file says must come out.</summary>
    public required LitmusExpectation Expected { get; init; }

    public required ExplorationResult Result { get; init; }

    /// <summary>The first outcome that must be possible and was not met; null where all were.</summary>
    public LitmusOutcome? NeverReached { get; init; }

    /// <summary>That of the exploration; or <see cref="Verdict.Inconclusive"/>, where it passes and what must be possible never happens, or not all was covered.</summary>
    public Verdict Verdict => Result.Verdict == Verdict.Pass && (NeverReached is not null || IsBounded) ? Verdict.Inconclusive : Result.Verdict;

    public bool IsAsExpected => Verdict == Expected.Verdict;

    /// <summary>What was violated, "I2" or "outcome"; empty where nothing was.</summary>
    public string Violated => Result.Counterexample is not { } found ? "" : found.Violation.Invariant == Patching.Invariants.None ? "outcome" : Patching.InvariantNames.Show(found.Violation.Invariant);

    /// <summary>Why it is inconclusive; null otherwise.</summary>
    public string? Reason => Result.Reason
        ?? (NeverReached is not null ? $"nothing was violated, but what must be possible never happens: {NeverReached}"
        : Result.Verdict == Verdict.Pass && IsBounded ? $"nothing was violated in what was covered: {Result.Bound}"
        : null);

    /// <summary>True where a search that does not cover everything has found nothing: that says neither yes nor no.</summary>
    public bool IsOpen => IsBounded && Verdict == Verdict.Inconclusive;

    private bool IsBounded => Result.Strategy != DepthFirstName;

    /// <summary>True where two searches of the same test cannot both be right.</summary>
    public bool Contradicts(LitmusRow other)
        => (Verdict, other.Verdict) is (Verdict.Pass, Verdict.Violation) or (Verdict.Violation, Verdict.Pass);
}
