using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B30: a sync that was put off until a CPU comes back from user mode, and a site in the entry code that it executes before that. Mended by having sites only behind the flush.</summary>
/// <param name="isBehindFlush">Where the site is.</param>
internal sealed class DeferredSyncEntry(bool isBehindFlush) : GalleryScenario
{
    // The site straddles an 8-byte boundary, one byte of its displacement in front of it.
    private static readonly GuestAddress Site = Text + 0x146, Target = Text + 0x280;

    public override string Name => $"deferred syncs, with a site {(isBehindFlush ? "behind" : "in front of")} the flush";

    public override Invariants CheckedUnder(FetchModel model) => new WithDeferredSync(Protocols.TextPokeBp).PromisesUnder(model);

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, FtraceRecords.NopReplace(), Branch(Call, Site, Target)));
        var protocol = new WithDeferredSync(Protocols.TextPokeBp);
        var patcher = protocol.Attach(run.Kernel);
        OfferDone(run.Kernel);
        run.Machine.Cpus[0].Start(protocol.Name, run.Patch(patcher));
        StartGuest(run.Machine.Cpus[1], isBehindFlush ? Site - (Gate(0).Length * 2) : Site - Gate(0).Length);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        // To user mode; the entry; and the flush, before or behind the site.
        byte[] before = isBehindFlush ? [.. Gate(GuestGate.UserEnter), .. Gate(GuestGate.KernelEnter)] : Gate(GuestGate.UserEnter);
        byte[] behind = isBehindFlush ? [] : Gate(GuestGate.KernelEnter);
        memory.Load(Site - before.Length, [.. before, .. FtraceRecords.NopReplace(), .. behind, .. Gate(GateDone)]);
        memory.Load(Target, [Ret]);
    }
}
