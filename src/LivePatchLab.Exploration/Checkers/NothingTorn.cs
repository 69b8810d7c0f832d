using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I2: what a CPU executes at a site is an instruction of the old code, at its place there, or one of the new code, or INT3, or the protocol's own guard. So nobody
/// executes from inside an instruction, and a CPU that was between two when the code was replaced goes on with what is still an instruction.
/// </summary>
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
            if (site.Judge((int)into, bytes) != SiteFetch.Torn) continue;
            run.Report(Invariant, cpu, rip, Describe(site, (int)into, Convert.ToHexStringLower(bytes)));
            return;
        }
    }

    private static string Describe(PatchSite site, int into, string executed)
    {
        var newCode = site.NewCode ?? site.OldCode;
        return (into, site.HasSeveralInstructions) switch
        {
            (0, false) => $"executes {executed} at {site.Address}, which is neither the old {Convert.ToHexStringLower(site.OldCode)} nor the new {Convert.ToHexStringLower(newCode)}",
            (_, false) => $"executes {executed} at {site.Address}+{into}, inside the site",
            _ => $"executes {executed} at {site.Address}{(into > 0 ? $"+{into}" : "")}, where the old code has {InstructionAt(site.OldCode, site.OldInstructions, into)}"
                + $" and the new code {InstructionAt(newCode, site.NewInstructions, into)}",
        };
    }

    private static string InstructionAt(byte[] code, InstructionBoundaries boundaries, int offset)
        => boundaries.LengthAt(offset) is > 0 and var length ? Convert.ToHexStringLower(code.AsSpan(offset, length)) : "the middle of an instruction";
}
