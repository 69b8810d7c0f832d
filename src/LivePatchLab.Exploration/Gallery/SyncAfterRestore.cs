using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B22: text_poke_early() lets interrupts in before it serialises. The handler of one that was waiting executes what the CPU had prefetched, or some of it: the delivery of an interrupt
/// does not serialise. Mended by the other order.
/// </summary>
/// <param name="syncsFirst">Whether the CPU serialises while interrupts are still off.</param>
internal sealed class SyncAfterRestore(bool syncsFirst) : GalleryScenario
{
    private static readonly GuestAddress Function = Text + 0x200, Target = Text + 0x280;

    public override string Name => $"text_poke_early, sync_core {(syncsFirst ? "before" : "after")} interrupts are on again";

    public override int Cpus => 1;

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NothingTorn | Invariants.NewAfterReturn;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Function, FtraceRecords.NopReplace(), Branch(Call, Function, Target)));
        var cpu = run.Machine.Cpus[0];
        cpu.Rsp = StackOf(cpu).Value;
        cpu.Start("text_poke_early", TextPokeEarly(run));
        cpu.ArmInterrupt("timer", _ => [new CallGuest(Function)]);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Function, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(Target, [Ret]);
    }

    private IEnumerable<KernelStep> TextPokeEarly(ScenarioRun run)
    {
        yield return InterruptFlag.Off;
        yield return new StoreCode(Function, run.Sites[0].NewCode!, 0);
        if (syncsFirst) yield return SyncCore.Here;
        yield return InterruptFlag.On;
        if (!syncsFirst) yield return SyncCore.Here;
        yield return run.MarkPatched();
    }
}
