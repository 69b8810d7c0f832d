using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>Something that no kernel does, and a scenario does in the middle of one: it has a CPU come online, say.</summary>
internal sealed class ScenarioStep(string what, Action<Cpu> act) : KernelStep
{
    public override string Describe() => what;

    protected override long Execute(Cpu cpu)
    {
        act(cpu);
        return 0;
    }
}
