using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B21: at boot the one CPU joins three nops into one of three bytes, byte by byte and where they stand; an interrupt in between executes 0f 90 90 and what follows, or 0f 1f 90. Mended by
/// interrupts off around the write and the sync.
/// </summary>
/// <param name="interruptsOff">Whether they are.</param>
internal sealed class InPlaceNops(bool interruptsOff) : GalleryScenario
{
    private static readonly GuestAddress Function = Text + 0x200;
    private static readonly byte[] OneByOne = [0x90, 0x90, 0x90], Joined = [0x0f, 0x1f, 0x00];

    public override string Name => $"optimize_nops with interrupts {(interruptsOff ? "off" : "on")}";

    public override int Cpus => 1;

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NothingTorn;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Function, OneByOne, Joined));
        var cpu = run.Machine.Cpus[0];
        cpu.Rsp = StackOf(cpu).Value;
        cpu.Start("optimize_nops", OptimizeNops());
        cpu.ArmInterrupt("timer", _ => [new CallGuest(Function)]);
    }

    protected override void LayOutCode(GuestMemory memory) => memory.Load(Function, [.. OneByOne, Ret]);

    private IEnumerable<KernelStep> OptimizeNops()
    {
        if (interruptsOff) yield return InterruptFlag.Off;
        for (var i = 0; i < Joined.Length; i++) yield return new StoreCode(Function + i, Joined.AsMemory(i, 1), 0);
        if (!interruptsOff) yield break;
        yield return SyncCore.Here;
        yield return InterruptFlag.On;
    }
}
