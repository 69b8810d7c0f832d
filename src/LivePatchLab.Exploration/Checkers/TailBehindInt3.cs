using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I3: the bytes behind the first change only while INT3, or the protocol's own guard, stands in front of them and no CPU can be given anything older than that.
/// </summary>
public sealed class TailBehindInt3 : Checker
{
    public override Invariants Invariant => Invariants.TailBehindInt3;

    public override bool RemembersEvents => false;

    public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
    {
        Span<byte> first = stackalloc byte[1];
        foreach (var site in run.SiteSpan)
        {
            if (address + length <= site.Address + 1 || address >= site.Address + site.Length) continue;
            foreach (var other in run.CpuArray)
            {
                if (other.Activity == CpuActivity.Parked) continue;
                run.Machine.CopyOldestVisibleCode(other.Id, site.Address, first);
                if (first[0] == BreakpointState.Int3 || (!site.Guard.IsEmpty && first[0] == site.Guard.Span[0])) continue;
                run.Report(Invariant, cpu, site.Address, $"the tail of {site.Address} changes while {other.Id} can still be given {first[0]:x2} in front of it, and not INT3");
                return;
            }
        }
    }
}
