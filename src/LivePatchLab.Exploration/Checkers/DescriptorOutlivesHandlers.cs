using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I5: what a handler was given is there for as long as it may look at it, on the heap, on the patcher's stack, or behind a global pointer.</summary>
public sealed class DescriptorOutlivesHandlers : Checker
{
    public override Invariants Invariant => Invariants.DescriptorOutlivesHandlers;

    public override void End(ScenarioRun run)
    {
        if (run.Kernel.UseAfterReturn is { } use) run.Report(Invariant, CpuIn(run, use), default, use);
        else if (run.Kernel.GlobalsOrNull<KernelHeap>() is { UsesAfterFree: [var first, ..] }) run.Report(Invariant, run.Machine.Cpus[first.Cpu.Index], default, first.ToString());
        else if (run.Kernel is { Bug: { } bug, BugKind: BugKind.DanglingPointer or BugKind.UseAfterFree }) run.Report(Invariant, MachineFailure.CpuOfBug(run), default, bug);
    }

    private static Cpu CpuIn(ScenarioRun run, string use) => run.Machine.Cpus.FirstOrDefault(cpu => use.StartsWith($"{cpu.Id} ", StringComparison.Ordinal)) ?? run.Machine.Cpus[0];
}
