using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I9: whoever came by a site had the effect of the old instruction or of the new one, and once. The scenario says how many effects a CPU must have counted when it is through.</summary>
public sealed class EffectIsOldOrNew : Checker
{
    public override Invariants Invariant => Invariants.EffectIsOldOrNew;

    public override void End(ScenarioRun run)
    {
        // Who has died, or waits for ever, is not through; that is told by others.
        if (run.Machine.Fault is not null || run.Kernel.Bug is not null) return;
        foreach (var (cpu, least, most) in run.ExpectedEffects)
        {
            if (cpu.IsBusy || cpu.Activity == CpuActivity.Halted) continue;
            var (old, @new) = (cpu.Registers[PatchScenario.OldCallsRegister], cpu.Registers[PatchScenario.NewCallsRegister]);
            if (old + @new >= (ulong)least && old + @new <= (ulong)most) continue;
            run.Report(Invariant, cpu, default, $"{cpu.Id} has had {old} effects of old instructions and {@new} of new ones, and not {(least == most ? $"{least}" : $"{least} to {most}")}");
            return;
        }
    }
}
