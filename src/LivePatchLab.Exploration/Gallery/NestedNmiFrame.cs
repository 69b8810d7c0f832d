using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B20: an NMI's handler comes by a site. The IRET of its #BP lets the next NMI in, which writes its frame where the first one's lies. Mended as in x86-64's entry code:
/// the handler first copies its frame away.
/// </summary>
/// <param name="copiesFrame">Whether it does.</param>
internal sealed class NestedNmiFrame(bool copiesFrame) : GalleryScenario
{
    private static readonly GuestAddress Main = Text + 0x100, Function = Text + 0x200;

    // cld in place of a one-byte nop: two syncs are enough, and the fewer there are, the fewer the places at which NMIs come in.
    private static readonly byte[] OldCode = [0x90], NewCode = [0xfc];

    public override string Name => $"two NMIs that run what is patched, {(copiesFrame ? "each with its frame copied" : "with one place for their frames")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.HandlerIsNotPatched | Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.WaitsWithInterruptsOn;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Function, OldCode, NewCode));
        run.Machine.Cpus[0].Start("text_poke_bp", run.Patch(Protocols.TextPokeBp.Attach(run.Kernel)));
        var cpu = run.Machine.Cpus[1];
        StartGuest(cpu, Main);
        cpu.ArmInterrupt("NMI 1", Handle, isNmi: true);
        cpu.ArmInterrupt("NMI 2", Handle, isNmi: true);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Main, [0x0f, 0x05]);
        memory.Load(Function, [.. OldCode, Ret]);
    }

    private IEnumerable<KernelStep> Handle(Cpu cpu)
    {
        if (copiesFrame) cpu.KeepNmiFrame();
        yield return new CallGuest(Function);
    }
}
