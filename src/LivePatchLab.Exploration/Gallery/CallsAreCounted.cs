using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I9 where old and new are calls, as in B17: whoever comes by calls the one function or the other. Those count, and the count must be right in the end;
/// a call that a handler skipped is missing.
/// </summary>
internal sealed class CallsAreCounted(PatchShape shape) : Checker
{
    public override Invariants Invariant => Invariants.EffectIsOldOrNew;

    public override void End(ScenarioRun run)
    {
        var expected = (ulong)(shape.Visits * shape.Sites);
        foreach (var cpu in run.Machine.Cpus.Skip(1))
        {
            var (old, @new) = (cpu.Registers[PatchScenario.OldCallsRegister], cpu.Registers[PatchScenario.NewCallsRegister]);
            if (cpu.IsBusy || old + @new == expected) continue;
            run.Report(Invariant, cpu, run.Sites[0].Address, $"{cpu.Id} has had {old} effects of old instructions and {@new} of new ones, and not {expected}");
            return;
        }
    }
}
