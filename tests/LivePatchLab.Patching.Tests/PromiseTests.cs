using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>What protocols promise follows from what the fetch model gives them to stand on.</summary>
public sealed class PromiseTests
{
    private const Invariants OfThreeSyncs = Invariants.NothingTorn | Invariants.TailBehindInt3 | Invariants.FirstByteLast | Invariants.NewAfterReturn;

    public static TheoryData<string> EveryProtocol() => [.. Protocols.Kernel.Select(protocol => protocol.Name)];

    public static TheoryData<string> EveryProtocolWithInt3() => [.. Protocols.Kernel.Where(p => p != Protocols.StopMachine).Select(protocol => protocol.Name)];

    [Theory]
    [MemberData(nameof(EveryProtocolWithInt3))]
    public void Under_the_manuals_worst_traps_are_consumed_and_three_syncs_do_what_they_are_for(string name)
    {
        var promises = Protocols.Named(name).PromisesUnder(FetchModel.SdmWorst);
        (promises & OfThreeSyncs).ShouldBe(OfThreeSyncs);
        promises.HasFlag(Invariants.TrapsAreConsumed).ShouldBeTrue();
        promises.HasFlag(Invariants.EffectIsOldOrNew).ShouldBe(!Protocols.Named(name).MaySkip);
    }

    [Theory]
    [MemberData(nameof(EveryProtocol))]
    public void Through_a_trap_gate_nobody_promises_that_traps_are_consumed(string name)
    {
        var promises = Protocols.Named(name).PromisesUnder(FetchModel.SdmWorst with { BreakpointGate = GateType.Trap });
        promises.HasFlag(Invariants.TrapsAreConsumed).ShouldBeFalse();
        promises.HasFlag(Invariants.NothingTorn).ShouldBeTrue();
    }

    [Theory]
    [InlineData("text_poke_bp_two_phase", false)]
    [InlineData("text_poke_bp_refcount", true)]
    [InlineData("smp_text_poke", true)]
    public void A_refcount_keeps_the_array_whatever_the_gate_and_a_sync_does_not(string name, bool promised)
        => Protocols.Named(name).PromisesUnder(FetchModel.SdmWorst with { BreakpointGate = GateType.Trap }).HasFlag(Invariants.DescriptorOutlivesHandlers).ShouldBe(promised);

    [Theory]
    [MemberData(nameof(EveryProtocol))]
    public void Where_sync_core_makes_nobody_forget_nothing_of_fetching_is_promised(string name)
        => (Protocols.Named(name).PromisesUnder(FetchModel.SdmWorst with { Serialising = SerialisingEvents.None }) & (OfThreeSyncs | Invariants.TrapsAreConsumed)).ShouldBe(Invariants.None);

    [Fact]
    public void Through_a_trap_gate_a_trap_is_indeed_lost()
    {
        // So that the promise is not made smaller than it must be: refcounts do not cover the way from the trap to the first look.
        foreach (var protocol in new[] { Protocols.TextPokeBpList, Protocols.SmpTextPoke })
        {
            var lost = 0;
            for (var seed = 1UL; seed <= 40 && lost == 0; seed++)
            {
                using var lab = new LabMachine(new LabMachineOptions
                {
                    Cpus = 4,
                    Sites = 40,
                    Costs = CostPreset.Unit,
                    Workload = Workload.Running,
                    Seed = new(seed),
                    Fetch = FetchModel.SdmWorst with { BreakpointGate = GateType.Trap },
                });
                for (var i = 0; i < 10 && lost == 0; i++)
                    if (lab.Switch(protocol, enable: i % 2 == 0).Violation is { Kind: ViolationKind.UnhandledException }) lost++;
            }

            lost.ShouldBe(1, protocol.Name);
        }
    }

    [Fact]
    public void An_int3_that_is_written_to_stay_needs_no_third_sync()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 2, Workload = Workload.Idle });
        PatchSite[] sites = [.. lab.SitesFor(enable: true).Select(s => new PatchSite(s.Address, s.OldCode, [BreakpointState.Int3, 0xcc, 0xcc, 0xcc, 0xcc]) { Emulate = s.OldCode })];
        var run = lab.Patch(Protocols.SmpTextPoke, sites);
        (run.SyncRounds, run.Bug).ShouldBe((2, null));
    }

    [Fact]
    public void What_cannot_be_emulated_is_a_bug_before_anything_is_written()
    {
        foreach (var name in new[] { "text_poke_bp_emulate", "text_poke_queue", "smp_text_poke" })
        {
            using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 2, Workload = Workload.Idle });
            var site = lab.SitesFor(enable: true)[0];
            var run = lab.Patch(Protocols.Named(name), [new(site.Address, site.OldCode, [0x2e, 0x2e, 0x2e, 0x31, 0xc0])]);
            run.Bug.ShouldNotBeNull().ShouldStartWith("text_poke_loc_init: 2e2e2e31c0 at ");
            run.BytesWritten.ShouldBe(0);
        }
    }

    [Fact]
    public void A_text_that_cannot_be_written_is_a_bug_since_2019()
    {
        foreach (var name in new[] { "text_poke_bp_batch", "text_poke_queue", "smp_text_poke" })
        {
            for (var write = 1; write <= 6; write++)
            {
                using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 2, Workload = Workload.Idle });
                lab.Kernel.Faults.Fail(FaultPoint.Write, write, Errno.Eperm);
                lab.Switch(Protocols.Named(name), enable: true).Bug.ShouldNotBeNull().ShouldStartWith("text_poke: ");
            }
        }
    }
}
