using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B32: text_poke_bp() without one of its three syncs, at a call that straddles an eight-byte boundary behind the first byte of its displacement.</summary>
internal static class DroppedSync
{
    private const Invariants Seen = Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.WaitsWithInterruptsOn;

    public static Scenario None() => new PatchedCall(Protocols.TextPokeBp, Seen | Invariants.NewAfterReturn, siteOffset: 6, visits: 2);

    /// <param name="phase">The phase whose sync is left out.</param>
    public static Scenario After(string phase) => new PatchedCall(Protocols.TextPokeBp.Without(phase), Seen | Invariants.NewAfterReturn, siteOffset: 6, visits: 2);

    /// <summary>The same, with nothing checked but what a CPU is seen to execute.</summary>
    public static Scenario AsSeenAfter(string phase) => new PatchedCall(Protocols.TextPokeBp.Without(phase), Seen, siteOffset: 6);
}
