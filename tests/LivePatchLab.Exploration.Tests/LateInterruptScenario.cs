using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>An IPI that is sent late, and could have come in before anything its target did: its handler's steps are those of the target's CPU.</summary>
internal sealed class LateInterruptScenario : Scenario
{
    public override string Name => "late interrupt";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.None;

    public override void LayOut(SmpMachine machine)
    {
    }

    public override void Begin(ScenarioRun run)
    {
        var (mine, other) = (new KernelVariable<int>("mine", 0), new KernelVariable<int>("other", 0));
        run.Machine.Cpus[0].Start("sender", [other.Store(1), new CallFunction(new Triple(mine), wait: false)]);
        run.Machine.Cpus[1].Start("target", Increment(mine));
    }

    private static IEnumerable<KernelStep> Increment(KernelVariable<int> mine)
    {
        for (var i = 0; i < 3; i++) yield return mine.Update("+ 1", n => n + 1);
    }

    private sealed class Triple(KernelVariable<int> mine) : IpiFunction
    {
        public override string Name => "triple";

        public override bool IsIndivisible => false;

        public override IEnumerable<KernelStep> Steps(Cpu cpu)
        {
            yield return mine.Update("* 3", n => n * 3);
            var load = mine.Load();
            yield return load;
            cpu.Registers[8] = (ulong)load.Value;
        }
    }
}
