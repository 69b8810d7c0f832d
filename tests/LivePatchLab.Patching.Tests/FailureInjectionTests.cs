using LivePatchLab.Experiments;
using LivePatchLab.Linux;

namespace LivePatchLab.Patching.Tests;

/// <summary>text_poke_bp_list() made to fail at every read, write and callback in turn; the seed's own recovery is the oracle.</summary>
public sealed class FailureInjectionTests
{
    private const int Sites = 6;
    private const int Injected = -77;

    public static TheoryData<FaultPoint, int> EveryOperation()
    {
        var data = new TheoryData<FaultPoint, int>();
        using var lab = Make();
        lab.Switch(Protocols.TextPokeBpList, enable: true).IsGood.ShouldBeTrue();
        foreach (var point in Enum.GetValues<FaultPoint>())
            for (var ordinal = 1; ordinal <= lab.Kernel.Faults.CountOf(point); ordinal++) data.Add(point, ordinal);
        return data;
    }

    [Fact]
    public void Every_kind_of_operation_is_tried_as_often_as_the_seed_does_it()
        => EveryOperation().Count.ShouldBe(Sites + (3 * Sites) + Sites, "a read, three writes and a callback for each site");

    [Theory]
    [MemberData(nameof(EveryOperation))]
    public void The_text_is_restored_as_the_seed_promises(FaultPoint point, int ordinal)
    {
        using var lab = Make();
        lab.Kernel.Faults.Fail(point, ordinal, Injected);
        var sites = lab.SitesFor(enable: true);
        var run = lab.Patch(Protocols.TextPokeBpList, sites);

        var pass = point switch { FaultPoint.Read => 0, FaultPoint.Callback => 2, _ => (ordinal - 1) / Sites };
        var entry = (ordinal - 1) % Sites;
        var failure = run.Failure.ShouldNotBeNull();
        failure.Errno.ShouldBe(point == FaultPoint.Read ? Errno.Efault : Injected);
        failure.Step.ShouldBe(new[] { TextPokeBpList.PhaseAdding, TextPokeBpList.PhaseUpdating, TextPokeBpList.PhaseFinishing }[pass]);
        failure.FailCount.ShouldBe(entry);
        failure.FailAddress.ShouldBe(sites[entry].Address);
        failure.Recovered.ShouldBeTrue();
        run.Bug.ShouldBeNull();
        run.Violation.ShouldBeNull();

        // What was finished stays new. A callback that fails comes after the first byte was written: that entry is new as well,
        // though its client never heard of it.
        var finished = pass < 2 ? 0 : entry;
        var written = point == FaultPoint.Callback ? entry + 1 : finished;
        for (var i = 0; i < Sites; i++)
        {
            sites[i].IsFinished.ShouldBe(i < finished);
            lab.Machine.Memory.Read(sites[i].Address, 5).ShouldBe(i < written ? sites[i].NewCode : sites[i].OldCode, $"site {i}");
        }

        // One sync for each entry whose tail had to be put back, and one at the end.
        var repaired = pass switch { 0 => 0, 1 => entry, _ => Sites - written };
        run.SyncRounds.ShouldBe(pass + repaired + 1);
        lab.Kernel.TextMutex.Owner.ShouldBeNull();
    }

    [Fact]
    public void After_a_failure_the_same_switch_can_be_done()
    {
        using var lab = Make();
        lab.Kernel.Faults.Fail(FaultPoint.Write, 9, Errno.Eperm);
        lab.Switch(Protocols.TextPokeBpList, enable: true).Failure.ShouldNotBeNull();
        lab.Switch(Protocols.TextPokeBpList, enable: true).IsGood.ShouldBeTrue();
        lab.Switch(Protocols.TextPokeBpList, enable: false).IsGood.ShouldBeTrue();
    }

    [Fact]
    public void Text_that_is_not_the_old_code_is_Einval()
    {
        using var lab = Make();
        var sites = lab.SitesFor(enable: true);
        lab.Machine.Memory.Load(sites[3].Address + 4, [0x99]);
        var run = lab.Patch(Protocols.TextPokeBpList, sites);
        run.Failure.ShouldBe(new PatchFailure(Errno.Einval, TextPokeBpList.PhaseAdding, 3, sites[3].Address, Recovered: true));
        lab.Machine.Memory.Read(sites[3].Address, 5).ShouldBe([0x0f, 0x1f, 0x44, 0x00, 0x99]);
        lab.Machine.Memory.Read(sites[0].Address, 5).ShouldBe(sites[0].OldCode);
    }

    [Fact]
    public void Text_that_is_not_there_is_Efault_and_recovery_cannot_read_it_either()
    {
        using var lab = Make();
        var sites = lab.SitesFor(enable: true).Append(new PatchSite(new(0x10), [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])).OrderBy(s => s.Address).ToList();
        var run = lab.Patch(Protocols.TextPokeBpList, sites);
        run.Bug.ShouldBe("recover_iter: 10 cannot be read");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_write_that_fails_during_recovery_is_a_bug(int writeOfRecovery)
    {
        using var lab = Make();
        lab.Kernel.Faults.Fail(FaultPoint.Write, (2 * Sites) + 1, Injected).Fail(FaultPoint.Write, (2 * Sites) + 1 + writeOfRecovery, Injected);
        var run = lab.Switch(Protocols.TextPokeBpList, enable: true);
        run.Bug.ShouldNotBeNull().ShouldContain("recover_iter");
        run.IsGood.ShouldBeFalse();
    }

    [Fact]
    public void Recovery_takes_an_int3_of_somebody_else_for_its_own()
    {
        // Hazard H-a of the seed: a kprobe's int3 on a site makes the check fail, and then recovery removes it.
        using var lab = Make();
        var sites = lab.SitesFor(enable: true);
        lab.Machine.Memory.Load(sites[2].Address, [BreakpointState.Int3]);
        var run = lab.Patch(Protocols.TextPokeBpList, sites);
        run.Failure!.Errno.ShouldBe(Errno.Einval);
        lab.Machine.Memory.Read(sites[2].Address, 1).ShouldBe([sites[2].OldCode[0]]);
    }

    [Fact]
    public void Entries_that_need_no_change_are_finished_and_not_written()
    {
        using var lab = Make();
        var sites = lab.SitesFor(enable: true).Select((s, i) => i % 2 == 0 ? s : new PatchSite(s.Address, s.OldCode, null)).ToList();
        var run = lab.Patch(Protocols.TextPokeBpList, sites);
        run.IsGood.ShouldBeTrue();
        run.BytesWritten.ShouldBe(Sites / 2 * (1 + 4 + 1));
        sites.ShouldAllBe(s => s.IsFinished);
    }

    [Fact]
    public void Text_poke_bp_reports_a_failing_int3_and_calls_a_later_failure_a_bug()
    {
        using var early = Make();
        early.Kernel.Faults.Fail(FaultPoint.Write, 4, Errno.Eperm);
        var run = early.Switch(Protocols.TextPokeBp, enable: true);
        run.Failure.ShouldBe(new PatchFailure(Errno.Eperm, TextPokeBp.PhaseBreakpoint, 1, early.Records.Records[1].Ip, Recovered: true));
        early.Records.Records.Count(r => r.IsEnabled).ShouldBe(1);

        using var late = Make();
        late.Kernel.Faults.Fail(FaultPoint.Write, 5, Errno.Eperm);
        late.Switch(Protocols.TextPokeBp, enable: true).Bug.ShouldNotBeNull().ShouldContain("tail");
    }

    [Fact]
    public void The_recovery_of_ftrace_2012_leaves_its_int3_behind()
    {
        // B05: it writes to the read-only address of the text, and nobody looks at the result.
        using var lab = Make();
        lab.Kernel.Faults.Fail(FaultPoint.Read, 4, Errno.Efault);
        var sites = lab.SitesFor(enable: true);
        var run = lab.Patch(Protocols.Ftrace2012, sites);
        run.Failure.ShouldBe(new PatchFailure(Errno.Efault, Ftrace2012.PhaseAdding, 3, sites[3].Address, Recovered: false));
        for (var i = 0; i < Sites; i++)
            lab.Machine.Memory.Read(sites[i].Address, 1)[0].ShouldBe(i < 3 ? BreakpointState.Int3 : sites[i].OldCode[0]);
    }

    [Fact]
    public void Patching_without_text_mutex_is_an_error_of_the_caller()
    {
        using var lab = Make();
        var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
        var steps = Protocols.TextPokeBpList.Attach(lab.Kernel).Apply(context, lab.SitesFor(enable: true));
        lab.Machine.Cpus[0].Start("no lock", steps);
        Should.Throw<InvalidOperationException>(() => lab.Machine.Run()).Message.ShouldContain("text_mutex");
    }

    private static LabMachine Make() => new(new LabMachineOptions { Cpus = 3, Sites = Sites, Costs = CostPreset.Unit, Workload = Workload.Idle });
}
