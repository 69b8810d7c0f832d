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
            var into = rip - site.Address;
            if (into < 0 || into >= site.Length) continue;

            // Nobody may be inside a single instruction; whoever is, is told of by I2.
            if (into > 0 && !site.HasSeveralInstructions) continue;
            if (IsAllowed(run, site, (int)into, bytes)) continue;
            run.Report(Invariant, cpu, rip, $"executes {Show(bytes)} at {site.Address}{(into > 0 ? $"+{into}" : "")} after the patcher has returned");
            return;
        }
    }

    private static bool IsAllowed(ScenarioRun run, PatchSite site, ReadOnlySpan<byte> bytes)
        => (site.NewCode is { } newCode && bytes.SequenceEqual(newCode)) || ((run.HasFailed || site.NewCode is null) && bytes.SequenceEqual(site.OldCode));

    private static bool IsAllowed(ScenarioRun run, PatchSite site, int offset, ReadOnlySpan<byte> instruction)
        => site.IsNew(offset, instruction) || ((run.HasFailed || site.NewCode is null) && site.IsOld(offset, instruction));

    private static string Show(ReadOnlySpan<byte> bytes) => bytes[0] == BreakpointState.Int3 ? "INT3" : Convert.ToHexStringLower(bytes);
}
