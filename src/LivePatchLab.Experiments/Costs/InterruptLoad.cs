using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>How the CPUs of a busy machine keep their interrupts off: what a synchronisation has to wait for.</summary>
/// <param name="OnMeanCycles">Mean length of a stretch with interrupts on.</param>
/// <param name="OffMeanCycles">Mean length of a stretch with interrupts off.</param>
/// <param name="Source">Where the two come from.</param>
public sealed record InterruptLoad(long OnMeanCycles, long OffMeanCycles, string Source)
{
    /// <summary>The steps of a CPU under this load, without end: lengths are drawn from exponential distributions.</summary>
    public IEnumerable<KernelStep> Steps(SmpMachine machine)
    {
        while (true)
        {
            yield return new Delay(Draw(machine.Choices, OnMeanCycles), "work with interrupts on");
            yield return InterruptFlag.Off;
            yield return new Delay(Draw(machine.Choices, OffMeanCycles), "work with interrupts off");
            yield return InterruptFlag.On;
        }
    }

    /// <summary>An exponentially distributed number of cycles, in 65,536 steps, so that one choice decides it.</summary>
    private static long Draw(IChoiceSource choices, long meanCycles)
    {
        const int Steps = 65_536;
        var uniform = (choices.Choose(ChoicePoint.Workload, Steps) + 0.5) / Steps;
        return 1 + (long)(-Math.Log(uniform) * meanCycles);
    }
}
