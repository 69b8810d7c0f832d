using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I9: whoever came by a site had the effect of the old code or of the new one, and once. The scenario says how many effects a CPU must have counted when it is
/// through; and where a site is several instructions, those that one CPU executes in one pass are all the old ones or all the new ones.
/// </summary>
public sealed class EffectIsOldOrNew : Checker
{
    private readonly SitePasses _passes = new();

    public override Invariants Invariant => Invariants.EffectIsOldOrNew;

    public override void Begin(ScenarioRun run) => _passes.Clear();

    public override void OnRetired(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
        foreach (var site in run.SiteSpan)
        {
            var into = rip - site.Address;
            if (into < 0 || into >= site.Length) continue;
            if (_passes.IsMixed(cpu, site, (int)into, bytes))
            {
                run.Report(Invariant, cpu, rip, $"executes {Convert.ToHexStringLower(bytes)} at {site.Address}+{into} behind instructions that are not of the same code: "
                    + $"a pass through {site} that is neither the old nor the new");
            }

            return;
        }
    }

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
