using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B23: the handler waits, with interrupts off, until the INT3 is gone, while the patcher waits for that CPU to answer its IPI. Mended by waiting outside: IRET, and the same
/// instruction once more; IPIs come in between.
/// </summary>
/// <param name="retries">False to wait inside the handler.</param>
internal sealed class SpinningHandler(bool retries) : GalleryScenario
{
    private static readonly GuestAddress Site = Text + 0x100, Target = Text + 0x200, Retry = Text + 0x300;

    public override string Name => $"a #BP handler that {(retries ? "tries the instruction again" : "spins until the INT3 is gone")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.WaitsWithInterruptsOn | Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.NewAfterReturn;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, FtraceRecords.NopReplace(), Branch(Call, Site, Target)));
        var isGuarded = new KernelVariable<bool>("int3 is there", false);
        run.Kernel.RegisterInt3Handler((_, regs) => Handle(isGuarded, regs));
        run.Machine.Cpus[0].Start("patch", run.Patch(new IteratorProtocol("int3, tail, first byte", (kernel, sites) => Poke(kernel, sites[0], isGuarded)).Attach(run.Kernel)));
        StartGuest(run.Machine.Cpus[1], Site);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Site, [.. FtraceRecords.NopReplace(), 0x0f, 0x05]);
        memory.Load(Target, [Ret]);
        memory.Load(Retry, Branch(Jmp, Retry, Site));
    }

    private static IEnumerable<KernelStep> Poke(PatchContext kernel, PatchSite site, KernelVariable<bool> isGuarded)
    {
        yield return isGuarded.Store(true);
        yield return kernel.TextPoke(site.Address, BreakpointState.Int3Opcode);
        yield return kernel.RunSync();
        yield return kernel.TextPoke(site.Address + 1, site.NewCode.AsMemory(1));
        yield return kernel.RunSync();
        yield return kernel.TextPoke(site.Address, site.NewCode.AsMemory(0, 1));
        yield return isGuarded.Store(false);
        yield return kernel.RunSync();
    }

    private IEnumerable<KernelStep> Handle(KernelVariable<bool> isGuarded, TrapFrame regs)
    {
        if (!retries) yield return isGuarded.SpinUntil("is false", there => !there);

        // A jump of its own leads back, so that the CPU is seen to go in circles while nobody else does anything.
        regs.Rip = Retry;
        regs.Consumed = true;
    }
}
