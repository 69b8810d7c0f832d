using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I7: when bytes behind the first of a site change, no CPU and no task that was taken off its CPU goes on from among them. A CPU in the handler of the site's
/// own INT3 has such an RIP until the handler changes it, and is none of them.
/// </summary>
public sealed class NobodyInside : Checker
{
    public override Invariants Invariant => Invariants.NobodyInside;

    public override bool RemembersEvents => false;

    public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
    {
        foreach (var site in run.SiteSpan)
        {
            if (address + length <= site.Address + 1 || address >= site.Address + site.Length) continue;
            foreach (var other in run.CpuArray)
            {
                if (other.Activity != CpuActivity.Guest || !IsInside(site, other.Rip) || (other.Rip == site.Address + 1 && other.IsHandling(TrapVector.Breakpoint))) continue;
                run.Report(Invariant, other, other.Rip, $"{site} changes while {other.Id} goes on at {site.Address}+{other.Rip - site.Address}");
                return;
            }

            if (run.Kernel.GlobalsOrNull<KernelTasks>() is not { } tasks) continue;
            foreach (var task in tasks.All)
            {
                if (task.ParkedRip is not { } rip || !IsInside(site, rip)) continue;
                run.Report(Invariant, task.Cpu, rip, $"{site} changes while {task.Name}, {task.Status.Value.State}, will go on at {site.Address}+{rip - site.Address}");
                return;
            }
        }
    }

    private static bool IsInside(PatchSite site, GuestAddress rip) => rip > site.Address && rip < site.Address + site.Length;
}
