using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I6: once the patcher has returned, no CPU can be given anything but the new instruction; where it has failed, anything but a whole one.</summary>
public sealed class NewAfterReturn : Checker
{
    private const int LongestSite = 32;

    public override Invariants Invariant => Invariants.NewAfterReturn;

    public override bool RemembersEvents => false;

    public override void OnPatched(ScenarioRun run)
    {
        Span<byte> bytes = stackalloc byte[LongestSite];
        foreach (var cpu in run.CpuArray)
        {
            foreach (var site in run.SiteSpan)
            {
                var oldest = site.Length <= LongestSite ? bytes[..site.Length] : new byte[site.Length];
                run.Machine.CopyOldestVisibleCode(cpu.Id, site.Address, oldest);
                if (IsAllowed(run, site, oldest)) continue;
                run.Report(Invariant, cpu, site.Address, $"can still be given {Show(oldest)} at {site.Address} after the patcher has returned");
                return;
            }
        }
    }

    public override void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
        if (!run.IsPatched) return;
        foreach (var site in run.SiteSpan)
        {
            if (site.Address != rip || IsAllowed(run, site, bytes)) continue;
            run.Report(Invariant, cpu, site.Address, $"executes {Show(bytes)} at {site.Address} after the patcher has returned");
            return;
        }
    }

    private static bool IsAllowed(ScenarioRun run, PatchSite site, ReadOnlySpan<byte> bytes)
        => (site.NewCode is { } newCode && bytes.SequenceEqual(newCode)) || ((run.HasFailed || site.NewCode is null) && bytes.SequenceEqual(site.OldCode));

    private static string Show(ReadOnlySpan<byte> bytes) => bytes[0] == BreakpointState.Int3 ? "INT3" : Convert.ToHexStringLower(bytes);
}
