using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I2: what a CPU executes at a site is the old instruction, the new one, INT3, or the protocol's own guard; and nobody executes from inside a site.</summary>
public sealed class NothingTorn : Checker
{
    public override Invariants Invariant => Invariants.NothingTorn;

    public override bool RemembersEvents => false;

    public override void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
        foreach (var site in run.SiteSpan)
        {
            var into = rip - site.Address;
            if (into < 0 || into >= site.Length) continue;
            if (into > 0)
            {
                run.Report(Invariant, cpu, rip, $"executes {Convert.ToHexStringLower(bytes)} at {site.Address}+{into}, inside the site");
                return;
            }

            if (!site.Guard.IsEmpty && bytes.SequenceEqual(site.Guard.Span)) continue;
            if (bytes[0] == BreakpointState.Int3 || bytes.SequenceEqual(site.OldCode) || (site.NewCode is { } newCode && bytes.SequenceEqual(newCode))) continue;
            run.Report(Invariant, cpu, rip, $"executes {Convert.ToHexStringLower(bytes)} at {site.Address}, which is neither the old {Convert.ToHexStringLower(site.OldCode)} nor the new {Convert.ToHexStringLower(site.NewCode ?? site.OldCode)}");
            return;
        }
    }
}
