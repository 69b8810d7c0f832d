using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B34: a probe's jump waits to be removed. Another probe, on an instruction under that jump, copies what it finds: a piece of the displacement, unless it knows that the jump is still there.
/// </summary>
/// <param name="knowsUnoptimising">Whether it does, as since 868a6fc0ca24.</param>
internal sealed class UnoptimisingProbe(bool knowsUnoptimising) : GalleryScenario
{
    private const int SecondOffset = 2, SecondBytes = 2;

    private static readonly GuestAddress Function = Text + 0x800;

    // inc ecx; xor eax, eax; nop: the jump stands over all three.
    private static readonly byte[] Code = [0xff, 0xc1, 0x31, 0xc0, 0x90];
    private Kprobe? _second;

    public override string Name => $"a probe under a jump that waits to be removed, {(knowsUnoptimising ? "known" : "not known")} to whoever copies code";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.EffectIsOldOrNew | Invariants.WaitsWithInterruptsOn;

    public override IEnumerable<Checker> MakeCheckers() => [new CopyIsTheInstruction(() => _second!)];

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        Kprobes.MapSlots(machine);
    }

    public override void Begin(ScenarioRun run)
    {
        run.Machine.DeclareVolatile(Function, Code.Length);
        var probes = new Kprobes(run.Kernel, KprobesOptions.Mainline with { KnowsUnoptimising = knowsUnoptimising });
        var first = new Kprobe(run.Kernel, "first", Function);
        _second = new(run.Kernel, "second", Function + SecondOffset);
        var waits = new KernelVariable<bool>("the jump waits to be removed", false);
        run.Machine.Cpus[0].Start("first probe", OptimiseAndBack(probes, run.Machine.Cpus[0], first, waits));
        run.Machine.Cpus[1].Start("second probe", [waits.SpinUntil("is true", now => now), KernelStep.Call(probes.Register(_second))]);
    }

    protected override void LayOutCode(GuestMemory memory) => memory.Load(Function, [.. Code, Ret]);

    private static IEnumerable<KernelStep> OptimiseAndBack(Kprobes probes, Cpu cpu, Kprobe first, KernelVariable<bool> waits)
    {
        yield return KernelStep.Call(probes.Register(first));
        yield return KernelStep.Call(probes.Optimise(cpu, first));
        foreach (var step in probes.Unoptimise(first))
        {
            yield return step;
            if (first.State.Value == KprobeState.Unoptimising && !waits.Value) yield return waits.Store(true);
        }
    }

    /// <summary>I9: what the second probe executes elsewhere is what its INT3 stands on.</summary>
    private sealed class CopyIsTheInstruction(Func<Kprobe> second) : Checker
    {
        public override Invariants Invariant => Invariants.EffectIsOldOrNew;

        public override void End(ScenarioRun run)
        {
            var (copied, there) = (second().OriginalCode.Take(SecondBytes).ToArray(), Code[SecondOffset..(SecondOffset + SecondBytes)]);
            if (copied.Length == SecondBytes && !there.SequenceEqual(copied))
                run.Report(Invariant, run.Machine.Cpus[1], second().Address, $"{second().Name} executes {Convert.ToHexStringLower(copied)} in place of the instruction {Convert.ToHexStringLower(there)} at {second().Address}: bytes of the jump that is about to be removed");
        }
    }
}
