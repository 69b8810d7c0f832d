using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I6: once the patcher has returned, no CPU can be given anything but the new instruction; where it has failed, anything but a whole one.</summary>
public sealed class NewAfterReturn : Checker
{
    public override Invariants Invariant => Invariants.NewAfterReturn;

    public override void OnPatched(ScenarioRun run)
    {
        foreach (var cpu in run.Machine.Cpus)
        {
            foreach (var site in run.Sites)
            {
                var oldest = run.Machine.OldestVisibleCode(cpu.Id, site.Address, site.Length);
                if (site.NewCode is { } newCode && oldest.AsSpan().SequenceEqual(newCode)) continue;
                if ((run.HasFailed || site.NewCode is null) && oldest.AsSpan().SequenceEqual(site.OldCode)) continue;
                var what = oldest[0] == BreakpointState.Int3 ? "INT3" : Convert.ToHexStringLower(oldest);
                run.Report(Invariant, cpu, site.Address, $"can still be given {what} at {site.Address} after the patcher has returned");
                return;
            }
        }
    }
}
