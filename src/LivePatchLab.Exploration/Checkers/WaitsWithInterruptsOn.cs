using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I10: nobody waits with interrupts off for others to answer an IPI, for one of them may do the same. Where that, or a lock, or a handler that spins, does end in
/// everybody waiting for everybody, <see cref="MachineFailure"/> tells it.
/// </summary>
public sealed class WaitsWithInterruptsOn : Checker
{
    public override Invariants Invariant => Invariants.WaitsWithInterruptsOn;

    public override bool RemembersEvents => false;

    public override bool WantsSteps => true;

    public override void OnStep(ScenarioRun run, Cpu cpu, KernelRoutine routine, KernelStep step)
    {
        if (cpu.InterruptsEnabled || step is not CallFunction { Waits: true }) return;
        foreach (var other in run.CpuArray)
        {
            if (other == cpu || other.Activity == CpuActivity.Parked) continue;
            run.Report(Invariant, cpu, default, $"{routine.Name} waits on {cpu.Id}, interrupts off, for {other.Id} to answer: {step}");
            return;
        }
    }
}
