using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I4: what takes the place of INT3 is the first byte of the instruction whose other bytes stand there already, and no CPU can be given any others.</summary>
public sealed class FirstByteLast : Checker
{
    private const int LongestSite = 32;

    public override Invariants Invariant => Invariants.FirstByteLast;

    public override bool RemembersEvents => false;

    public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
    {
        Span<byte> code = stackalloc byte[LongestSite], oldest = stackalloc byte[LongestSite];
        foreach (var site in run.SiteSpan)
        {
            if (address > site.Address || address + length <= site.Address) continue;
            var whole = site.Length <= LongestSite ? code[..site.Length] : new byte[site.Length];
            if (!run.Machine.Memory.TryRead(site.Address, whole) || whole[0] == BreakpointState.Int3 || (!site.Guard.IsEmpty && whole[0] == site.Guard.Span[0])) continue;
            if (!whole.SequenceEqual(site.OldCode) && !(site.NewCode is { } newCode && whole.SequenceEqual(newCode)))
            {
                run.Report(Invariant, cpu, site.Address, $"{whole[0]:x2} stands at {site.Address} before the rest: {Convert.ToHexStringLower(whole)}");
                return;
            }

            foreach (var other in run.CpuArray)
            {
                var tail = site.Length <= LongestSite ? oldest[..(site.Length - 1)] : new byte[site.Length - 1];
                if (other.Activity == CpuActivity.Parked) continue;
                run.Machine.CopyOldestVisibleCode(other.Id, site.Address + 1, tail);
                if (tail.SequenceEqual(whole[1..])) continue;
                run.Report(Invariant, cpu, site.Address, $"the first byte of {site.Address} is written while {other.Id} can still be given {Convert.ToHexStringLower(tail)} behind it, and not {Convert.ToHexStringLower(whole[1..])}");
                return;
            }
        }
    }
}
