using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B18: #BP's handler emulates CALL by a push on the interrupted stack, directly below which its own exception frame lies, unless the entry code has left room.</summary>
/// <param name="gapBytes">The room.</param>
internal sealed class EntryStackGap(int gapBytes) : GalleryScenario
{
    private static readonly GuestAddress Site = Text + 0x100, OldFunction = Text + 0x200, NewFunction = Text + 0x240;

    public override string Name => $"CALL emulated with an entry stack gap of {gapBytes} bytes";

    public override Invariants CheckedUnder(FetchModel model)
        => Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.NewAfterReturn | Invariants.EffectIsOldOrNew | Invariants.WaitsWithInterruptsOn;

    /// <summary>The BUG of the emulation: the push has no place to go, so the call has neither the old nor the new effect.</summary>
    public override Invariants? ShownByFailure(ScenarioRun run) => run.Kernel.Bug is null ? null : Invariants.EffectIsOldOrNew;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, Branch(Call, Site, OldFunction), Branch(Call, Site, NewFunction)));
        var protocol = new TextPokeBpEmulate { EntryStackGapBytes = gapBytes };
        run.Machine.Cpus[0].Start(protocol.Name, run.Patch(protocol.Attach(run.Kernel)));
        StartGuest(run.Machine.Cpus[1], Site);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Site, [.. Branch(Call, Site, OldFunction), 0x0f, 0x05]);
        memory.Load(OldFunction, [Ret]);
        memory.Load(NewFunction, [Ret]);
    }
}
