using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B32: text_poke_bp() without one of its three syncs, at a call that straddles an eight-byte boundary behind the first byte of its displacement.</summary>
internal static class DroppedSync
{
    /// <param name="phase">The phase whose sync is left out, or null for none.</param>
    /// <param name="checked">What is checked; null for what a CPU may be seen to execute.</param>
    public static Scenario After(string? phase, Invariants? @checked = null)
    {
        var protocol = phase is null ? Protocols.TextPokeBp : Protocols.TextPokeBp.Without(phase);
        return new PatchScenario(
            new IteratorProtocol(protocol.Name, (kernel, sites) => protocol.Attach(kernel.Kernel).Apply(kernel, sites))
            {
                Promises = @checked ?? (Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.NewAfterReturn | Invariants.WaitsWithInterruptsOn),
            },
            new() { SiteOffset = 6 });
    }
}
