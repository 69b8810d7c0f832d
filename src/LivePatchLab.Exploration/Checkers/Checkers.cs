using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The lab's checkers, one for each invariant. What ends a machine, a fault, a BUG, a wait without end, is told by <see cref="MachineFailure"/> whatever is checked.</summary>
public static class Checkers
{
    /// <summary>I3 and I4: what a protocol does so that nobody gets anything torn, not what anybody gets.</summary>
    public const Invariants OfMeans = Invariants.TailBehindInt3 | Invariants.FirstByteLast;

    /// <summary>Those for a set of invariants.</summary>
    public static IEnumerable<Checker> For(Invariants invariants) => All().Where(c => (c.Invariant & invariants) != 0);

    /// <summary>New ones, each for one thread.</summary>
    public static IEnumerable<Checker> All() =>
    [
        new TrapsAreConsumed(), new NothingTorn(), new TailBehindInt3(), new FirstByteLast(), new DescriptorOutlivesHandlers(), new NewAfterReturn(),
        new NobodyInside(), new HandlerIsNotPatched(), new EffectIsOldOrNew(), new WaitsWithInterruptsOn(), new ForeignInt3Survives(), new ArrayIsSorted(),
    ];
}
