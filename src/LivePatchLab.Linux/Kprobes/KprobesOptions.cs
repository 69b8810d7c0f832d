namespace LivePatchLab.Linux;

/// <summary>Which of the kernel's kprobes these are: each option is a change that mended a bug, and can be taken back.</summary>
public sealed record KprobesOptions
{
    /// <summary>A sync after INT3 is written, and one after it is removed. Added by 5c02ece81848 (v5.5).</summary>
    public bool SynchronisesCores { get; init; } = true;

    /// <summary>
    /// The handler goes back to an INT3 that has neither probe nor is there any more, as it did until 2022: the probe may have been removed since. With
    /// the syncs there is nothing for this to do; without them it is all that keeps such a CPU alive; and the INT3 of another owner, just removed, it takes for its own.
    /// </summary>
    public bool RetriesVanished { get; init; }

    /// <summary>synchronize_rcu_tasks() before the jump is written over several instructions: nobody may stand on the second of them.</summary>
    public bool WaitsForTasks { get; init; } = true;

    /// <summary>Who copies code knows that a probe which waits to be unoptimised still has its jump in the text. Since 868a6fc0ca24 (v6.3).</summary>
    public bool KnowsUnoptimising { get; init; } = true;

    public static KprobesOptions Mainline { get; } = new();

    /// <summary>Before v5.5: no syncs, and the retry that makes up for some of it.</summary>
    public static KprobesOptions Before5_5 { get; } = new() { SynchronisesCores = false, RetriesVanished = true };
}
