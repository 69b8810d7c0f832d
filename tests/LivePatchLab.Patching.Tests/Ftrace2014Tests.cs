using LivePatchLab.Experiments;
using LivePatchLab.Linux;

namespace LivePatchLab.Patching.Tests;

/// <summary>What the recovery fixes of February 2014 changed, aspect by aspect; <see cref="FailureInjectionTests"/> shows what was before.</summary>
public sealed class Ftrace2014Tests
{
    private const int Sites = 6;

    public static TheoryData<FaultPoint, int> EveryOperation()
    {
        var data = new TheoryData<FaultPoint, int>();
        for (var ordinal = 1; ordinal <= Sites; ordinal++) data.Add(FaultPoint.Read, ordinal);
        for (var ordinal = 1; ordinal <= 3 * Sites; ordinal++) data.Add(FaultPoint.Write, ordinal);
        return data;
    }

    [Theory]
    [MemberData(nameof(EveryOperation))]
    public void Recovery_leaves_no_int3_counts_each_pass_anew_and_ends_with_a_sync(FaultPoint point, int ordinal)
    {
        using var lab = Make();
        lab.Kernel.Faults.Fail(point, ordinal, Errno.Efault);
        var sites = lab.SitesFor(enable: true);
        var run = lab.Patch(Protocols.Ftrace2014, sites);

        var pass = point == FaultPoint.Read ? 0 : (ordinal - 1) / Sites;
        var entry = (ordinal - 1) % Sites;
        run.Bug.ShouldBeNull();
        run.Failure.ShouldBe(new PatchFailure(
            point == FaultPoint.Read ? Errno.Efault : Errno.Eperm,
            new[] { Ftrace2014.PhaseAdding, Ftrace2014.PhaseUpdating, Ftrace2014.PhaseFinishing }[pass],
            entry,
            sites[entry].Address,
            Recovered: true));
        run.SyncRounds.ShouldBe(pass + 1);

        // What has its new tail keeps it, and gets the first byte that belongs to it: sites may end up mixed, but whole.
        for (var i = 0; i < Sites; i++)
        {
            var isNew = pass == 2 || (pass == 1 && i < entry);
            lab.Machine.Memory.Read(sites[i].Address, 5).ShouldBe(isNew ? sites[i].NewCode : sites[i].OldCode, $"site {i}");
        }
    }

    [Fact]
    public void A_write_that_fails_during_recovery_is_a_bug()
    {
        using var lab = Make();
        lab.Kernel.Faults.Fail(FaultPoint.Read, 4, Errno.Efault).Fail(FaultPoint.Write, 5, Errno.Eperm);
        lab.Patch(Protocols.Ftrace2014, lab.SitesFor(enable: true)).Bug.ShouldNotBeNull().ShouldContain("remove_breakpoint: the int3 at");
    }

    [Fact]
    public void An_int3_before_something_that_is_neither_nop_nor_call_is_a_bug()
    {
        using var lab = Make();
        var sites = lab.SitesFor(enable: true);
        lab.Machine.Memory.Load(sites[2].Address, [BreakpointState.Int3, 1, 2, 3, 4]);
        lab.Patch(Protocols.Ftrace2014, sites).Bug.ShouldNotBeNull().ShouldContain("neither nop nor call");
    }

    private static LabMachine Make() => new(new LabMachineOptions { Cpus = 3, Sites = Sites, Costs = CostPreset.Unit, Workload = Workload.Idle });
}
