using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I12: when a handler searches the array of sites, the entries ascend and are all there.</summary>
public sealed class ArrayIsSorted : Checker
{
    public override Invariants Invariant => Invariants.ArrayIsSorted;

    public override bool WantsSteps => true;

    public override void OnStep(ScenarioRun run, Cpu cpu, KernelRoutine routine, KernelStep step)
    {
        if (step is not Int3Lookup { IsSorted: false } lookup) return;
        run.Report(Invariant, cpu, lookup.Ip, lookup.Entries > lookup.Vec.Count
            ? $"{cpu.Id} searches {lookup.Entries} entries of an array that has {lookup.Vec.Count}"
            : $"{cpu.Id} searches for {lookup.Ip} in an array that does not ascend: {string.Join(", ", lookup.Vec.Take(lookup.Entries).Select(entry => entry.Address))}");
    }

    public override void End(ScenarioRun run)
    {
        if (run.Kernel is { Bug: { } bug, BugKind: BugKind.OutOfBounds }) run.Report(Invariant, MachineFailure.CpuOfBug(run), default, bug);
    }
}
