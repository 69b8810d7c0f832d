using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>A bug that the kernel's own patching code had, or one that its authors argued about: how to meet it, and how to see it gone.</summary>
/// <param name="Number">1 to 35, as in B01.</param>
/// <param name="Title">What went wrong, in a few words.</param>
public sealed record HistoricalBug(int Number, string Title)
{
    /// <summary>The commit that had it or mended it, or the thread that it was found in.</summary>
    public required string Reference { get; init; }

    /// <summary>What it takes: stale fetches, NMIs, foreign INT3s, …</summary>
    public required string Ingredients { get; init; }

    /// <summary>How it was mended, or can be.</summary>
    public required string Fix { get; init; }

    /// <summary>The fetch model under which it shows.</summary>
    public FetchModel Model { get; init; } = FetchModel.SdmWorst;

    /// <summary>The code with the bug; null where the lab cannot express it.</summary>
    public Func<Scenario>? Broken { get; init; }

    /// <summary>The same situation with the historical fix.</summary>
    public Func<Scenario>? Mended { get; init; }

    /// <summary>Where there is no scenario: what the lab lacks.</summary>
    public string? Missing { get; init; }

    /// <summary>The most executions that either search runs.</summary>
    public long ExecutionsMax { get; init; } = 200_000;

    /// <summary>"B09"</summary>
    public string Id => $"B{Number:00}";

    /// <summary>Searches for the bug, and then, with the bug as its control, through the mended code.</summary>
    /// <exception cref="InvalidOperationException">The lab has no scenario for it: see <see cref="Missing"/>.</exception>
    public (ExplorationResult Broken, ExplorationResult Mended) Explore(IStrategy? strategy = null, CancellationToken cancellation = default)
    {
        if (Broken is null || Mended is null) throw new InvalidOperationException($"{Id} cannot be explored: {Missing}");
        var plan = ExplorationPlan.Of(Broken).Under(Model).By(strategy ?? new DepthFirst()).Within(ExecutionsMax);
        return (plan.Run(cancellation), ExplorationPlan.Of(Mended).Under(Model).By(strategy ?? new DepthFirst()).Within(ExecutionsMax).WithControl(Broken).Run(cancellation));
    }
}
