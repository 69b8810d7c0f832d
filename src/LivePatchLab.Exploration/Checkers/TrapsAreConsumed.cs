using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I1: whoever takes an INT3 at a site is sent on by the protocol's handler. One that nobody consumes is the end of its CPU; one that does not leave the site
/// has been consumed by somebody who does not know what stands there.
/// </summary>
public sealed class TrapsAreConsumed : Checker
{
    public override Invariants Invariant => Invariants.TrapsAreConsumed;

    public override bool RemembersEvents => false;

    public override void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
        foreach (var site in run.SiteSpan)
        {
            // Where a trap is consumed and nothing else done, IRET goes on behind the INT3, in the middle of the instruction that it stands on.
            if (rip != site.Address + 1 || site.Length == 1 || run.TrappedLastAt(cpu.Id) != site.Address || BeginsBehindFirstByte(site)) continue;
            run.Report(Invariant, cpu, site.Address, $"{cpu.Id} comes out of the handler of the INT3 at {site.Address} inside the site: whoever consumed the trap did not know it");
            return;
        }
    }

    public override void End(ScenarioRun run)
    {
        if (run.Machine.Fault is not { Vector: TrapVector.Breakpoint } fault) return;
        foreach (var site in run.SiteSpan)
            if (fault.Rip == site.Address) run.Report(Invariant, run.Machine.Cpus[fault.Cpu.Index], fault.Rip, MachineFailure.Describe(fault));
    }

    /// <summary>
    /// Where the first of several instructions has one byte, whoever has emulated it goes on behind it. INT3 that only fills the site up is nothing to go on with.
    /// </summary>
    private static bool BeginsBehindFirstByte(PatchSite site)
        => (site.OldInstructions.LengthAt(1) > 0 && site.OldCode[1] != BreakpointState.Int3)
            || (site.NewCode is { } newCode && site.NewInstructions.LengthAt(1) > 0 && newCode[1] != BreakpointState.Int3);
}
