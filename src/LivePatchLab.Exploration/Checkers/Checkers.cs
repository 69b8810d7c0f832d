using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The lab's checkers, one for each invariant that needs one. I1, the deadlocks of I10 and what a fault or a BUG shows are seen by the explorer itself.</summary>
public static class Checkers
{
    /// <summary>Those for a set of invariants.</summary>
    public static IEnumerable<Checker> For(Invariants invariants) => All().Where(c => (c.Invariant & invariants) != 0);

    /// <summary>New ones, each for one thread.</summary>
    public static IEnumerable<Checker> All() => [new NothingTorn(), new NewAfterReturn()];
}
