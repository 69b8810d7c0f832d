using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Each checker with a control that must trip it and a right twin that must not.</summary>
public sealed class CheckerTests
{
    private static readonly PatchShape Behind = new() { SiteOffset = 61, ForeignInt3 = true }, Program = new() { IsUser = true };

    [Fact]
    public void There_is_one_checker_for_each_invariant()
        => Checkers.All().Select(c => c.Invariant).ShouldBe(Enumerable.Range(1, InvariantNames.Count).Select(InvariantNames.Numbered));

    [Fact]
    public void I1_an_int3_that_no_handler_knows_is_not_consumed()
    {
        ShouldTrip(Invariants.TrapsAreConsumed, Steps(Int3First)).Detail.ShouldContain("nobody consumed #BP");
        ShouldHold(Invariants.TrapsAreConsumed, Protocols.TextPokeBp);
    }

    [Fact]
    public void I1_who_consumes_a_trap_of_a_site_that_he_does_not_know_goes_on_inside_it()
    {
        ShouldTrip(Invariants.TrapsAreConsumed, ControlProtocols.TakingAllInt3s(Steps(Int3First))).Detail.ShouldContain("inside the site");
        ShouldHold(Invariants.TrapsAreConsumed, ControlProtocols.TakingAllInt3s(Protocols.TextPokeBp));
    }

    [Fact]
    public void I2_one_store_of_five_bytes_is_torn()
    {
        ShouldTrip(Invariants.NothingTorn, Steps(AtOnce));
        ShouldHold(Invariants.NothingTorn, Protocols.TextPokeBp);
    }

    [Fact]
    public void I2_the_guard_of_a_protocol_is_not_torn_code()
        => ShouldHold(Invariants.NothingTorn, new NaClDyncode(), FetchModel.AmdAsync, Program);

    [Fact]
    public void I3_a_tail_that_changes_before_everybody_has_seen_the_int3_is_reported()
    {
        ShouldTrip(Invariants.TailBehindInt3, Protocols.TextPokeBp.Without(TextPokeBp.PhaseBreakpoint)).Detail.ShouldContain("can still be given e8");
        ShouldTrip(Invariants.TailBehindInt3, Steps(AtOnce), FetchModel.Ideal);
        ShouldHold(Invariants.TailBehindInt3, Protocols.TextPokeBp);
    }

    [Fact]
    public void I4_a_first_byte_that_is_written_before_everybody_has_the_tail_is_reported()
    {
        ShouldTrip(Invariants.FirstByteLast, Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail)).Detail.ShouldContain("can still be given");
        ShouldTrip(Invariants.FirstByteLast, Steps(FirstByteFirst), FetchModel.Ideal).Detail.ShouldContain("before the rest");
        ShouldHold(Invariants.FirstByteLast, Protocols.TextPokeBp);
    }

    [Theory]
    [InlineData("text_poke_bp_batch", "bp_patching.vec")]
    [InlineData("text_poke_bp_refcount", "which has returned")]
    public void I5_a_handler_that_a_foreign_int3_led_in_finds_its_descriptor_gone(string name, string detail)
        => ShouldTrip(Invariants.DescriptorOutlivesHandlers, Protocols.Named(name), shape: Behind).Detail.ShouldContain(detail);

    [Theory]
    [InlineData("text_poke_bp_two_phase")]
    [InlineData("text_poke_bp_global_desc")]
    [InlineData("smp_text_poke")]
    public void I5_the_historical_fixes_keep_it(string name) => ShouldHold(Invariants.DescriptorOutlivesHandlers, Protocols.Named(name), shape: Behind);

    [Fact]
    public void I5_memory_of_the_heap_that_is_used_after_it_was_freed_is_reported()
    {
        Run(() => new DescriptorScenario(waits: false)).Counterexample.ShouldNotBeNull().Violation.Invariant.ShouldBe(Invariants.DescriptorOutlivesHandlers);
        Run(() => new DescriptorScenario(waits: true)).IsExhaustive.ShouldBeTrue();
        Run(() => new DescriptorScenario(waits: true)).Counterexample.ShouldBeNull();
    }

    [Fact]
    public void I6_old_code_or_an_int3_after_the_return_is_reported()
    {
        ShouldTrip(Invariants.NewAfterReturn, Protocols.TextPokeBp.Without(TextPokeBp.PhaseFirstByte)).Detail.ShouldContain("after the patcher has returned");
        ShouldHold(Invariants.NewAfterReturn, Protocols.TextPokeBp);
    }

    [Theory]
    [InlineData(false, "goes on at")]
    [InlineData(true, "Preempted")]
    public void I7_an_rip_inside_a_site_that_changes_is_reported(bool preempts, string detail)
    {
        var found = Run(() => new InsideScenario(isOneInstruction: false, preempts)).Counterexample.ShouldNotBeNull().Violation;
        found.Invariant.ShouldBe(Invariants.NobodyInside);
        found.Detail.ShouldContain(detail);
        var twin = Run(() => new InsideScenario(isOneInstruction: true, preempts));
        twin.Counterexample.ShouldBeNull();
        twin.IsExhaustive.ShouldBeTrue();
    }

    [Fact]
    public void I7_a_cpu_in_the_handler_of_the_sites_own_int3_is_not_inside() => ShouldHold(Invariants.NobodyInside, Protocols.TextPokeBp);

    [Fact]
    public void I8_an_int3_in_the_way_of_the_handler_of_int3_is_reported()
    {
        Run(() => new NestedInt3Scenario(callsPatched: true, inNmi: false)).Counterexample.ShouldNotBeNull().Violation.Invariant.ShouldBe(Invariants.HandlerIsNotPatched);
        Run(() => new NestedInt3Scenario(callsPatched: false, inNmi: false)).Counterexample.ShouldBeNull();
        Run(() => new NestedInt3Scenario(callsPatched: false, inNmi: true)).Counterexample.ShouldBeNull();
    }

    [Fact]
    public void I9_a_call_that_becomes_another_is_lost_where_the_handler_skips_it()
    {
        ShouldTrip(Invariants.EffectIsOldOrNew, Protocols.TextPokeBpList).Detail.ShouldContain("0 effects of old instructions and 0 of new ones, and not 1");
        ShouldHold(Invariants.EffectIsOldOrNew, Protocols.TextPokeBpEmulate);
    }

    [Fact]
    public void I9_a_guard_that_kills_has_neither_effect()
    {
        ShouldTrip(Invariants.EffectIsOldOrNew, new NaClDyncode(), FetchModel.AmdAsync, Program).Detail.ShouldContain("#GP");
        ShouldHold(Invariants.EffectIsOldOrNew, new NaClDyncode(), FetchModel.AmdAsync, Program with { SiteOffset = 0 });
    }

    [Fact]
    public void I9_a_guard_that_is_never_left_has_neither_effect_and_a_queue_with_an_end_leaves_it()
    {
        var shape = new PatchShape { SiteOffset = 0 };
        ShouldTrip(Invariants.EffectIsOldOrNew, new HotSpotSelfLoop(), FetchModel.AmdAsync, shape).Detail.ShouldContain("for ever");
        ShouldHold(Invariants.EffectIsOldOrNew, new HotSpotSelfLoop(), FetchModel.IntelPractice, shape);
    }

    [Fact]
    public void I9_an_emulated_call_without_room_on_the_stack_has_another_effect()
        => ShouldTrip(Invariants.EffectIsOldOrNew, new TextPokeBpEmulate { EntryStackGapBytes = 0 }).Detail.ShouldContain("exception frame");

    [Fact]
    public void I10_a_wait_for_ipis_with_interrupts_off_is_reported()
    {
        ShouldTrip(Invariants.WaitsWithInterruptsOn, ControlProtocols.WithInterruptsOff(Protocols.TextPokeBp)).Detail.ShouldContain("interrupts off");
        ShouldHold(Invariants.WaitsWithInterruptsOn, Protocols.TextPokeBp);
        ShouldHold(Invariants.WaitsWithInterruptsOn, Protocols.StopMachine);
    }

    [Fact]
    public void I10_a_handler_that_spins_until_the_int3_is_gone_never_answers()
    {
        var guarded = new WordPatch();
        ShouldHold(Invariants.WaitsWithInterruptsOn, guarded, FetchModel.Ideal, Behind);
        ShouldTrip(Invariants.WaitsWithInterruptsOn, new SyncingWordPatch(guarded), FetchModel.Ideal, Behind).Detail.ShouldStartWith("deadlock");
    }

    [Fact]
    public void I11_who_takes_the_traps_of_others_is_reported()
    {
        ShouldTrip(Invariants.ForeignInt3Survives, ControlProtocols.TakingAllInt3s(Protocols.SmpTextPoke), shape: Behind).Detail.ShouldContain("another owner has had 0");
        ShouldHold(Invariants.ForeignInt3Survives, Protocols.SmpTextPoke, shape: Behind);
    }

    [Fact]
    public void I11_who_writes_over_the_int3_of_another_is_reported()
        => ShouldTrip(Invariants.ForeignInt3Survives, Steps(OneByteTooFar), shape: Behind).Detail.ShouldContain("is overwritten with 90");

    [Fact]
    public void I12_an_array_that_does_not_ascend_when_it_is_searched_is_reported()
    {
        var shape = new PatchShape { Sites = 2 };
        ShouldTrip(Invariants.ArrayIsSorted, Steps((kernel, sites) => HighThenLow(kernel, sites, looksAtOrder: false)), FetchModel.Ideal, shape).Detail.ShouldContain("does not ascend");
        ShouldHold(Invariants.ArrayIsSorted, Steps((kernel, sites) => HighThenLow(kernel, sites, looksAtOrder: true)), FetchModel.Ideal, shape);
    }

    [Theory]
    [InlineData("ideal")]
    [InlineData("sdm-worst")]
    public void Looking_changes_nothing(string model)
    {
        const Invariants All = (Invariants)((1 << InvariantNames.Count) - 1);
        ExplorationResult Explore(Invariants what)
            => ExplorationPlan.Of(() => new PatchScenario(Protocols.TextPokeBpTwoPhase, Behind) { CheckedOnly = what }).Under(FetchModel.Presets.Single(m => m.Name == model)).Within(300_000).Run();
        var (blind, seeing) = (Explore(Invariants.None), Explore(All));
        seeing.Counterexample.ShouldBeNull();
        seeing.IsExhaustive.ShouldBeTrue();
        (seeing.Executions, seeing.Transitions).ShouldBe((blind.Executions, blind.Transitions));
    }

    [Fact]
    public void A_failure_of_something_that_is_not_checked_is_reported_unless_a_scenario_says_otherwise()
    {
        var all = ExplorationPlan.Of(() => new PatchScenario(Steps(Int3First, Invariants.NewAfterReturn))).Run();
        all.Counterexample.ShouldNotBeNull().Violation.Invariant.ShouldBe(Invariants.TrapsAreConsumed);
        ShouldHold(Invariants.NewAfterReturn, Steps(Int3First));
    }

    [Theory]
    [InlineData(BugKind.DanglingPointer, Invariants.DescriptorOutlivesHandlers)]
    [InlineData(BugKind.UseAfterFree, Invariants.DescriptorOutlivesHandlers)]
    [InlineData(BugKind.OutOfBounds, Invariants.ArrayIsSorted)]
    [InlineData(BugKind.Stack, Invariants.EffectIsOldOrNew)]
    [InlineData(BugKind.Assertion, Invariants.NewAfterReturn)]
    public void A_kernel_that_gives_up_is_laid_to_what_it_has_met(BugKind kind, Invariants invariant)
    {
        IEnumerable<KernelStep> GiveUp(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            yield return kernel.RunSync();
            yield return kernel.Kernel.RaiseBug("mine", kind);
        }

        var found = ExplorationPlan.Of(() => new PatchScenario(Steps(GiveUp))).Run().Counterexample.ShouldNotBeNull().Violation;
        (found.Invariant, found.Detail, found.Cpu).ShouldBe((invariant, "mine", new CpuId(0)));
    }

    [Fact]
    public void A_plan_for_a_protocol_asks_for_what_can_be_observed()
        => ExplorationPlan.Of(Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail)).Under(FetchModel.IntelPractice).Run().Verdict.ShouldBe(Verdict.Pass, "nobody is given anything torn, though I4 does not hold");

    [Fact]
    public void A_search_with_reduction_sees_old_code_at_the_return_as_one_without_it_does()
    {
        // The CPU that traps serialises by its IRET: before the return, or after it.
        foreach (var protocol in new[] { Protocols.TextPokeBp.Without(TextPokeBp.PhaseFirstByte), Protocols.SmpTextPoke.Without(TextPokePhase.FirstBytes) })
            foreach (var reduces in new[] { true, false })
                Plan(Invariants.NewAfterReturn, protocol, FetchModel.SdmWorst, new() { SiteOffset = 0 }).By(new DepthFirst(reduces)).Run().Counterexample.ShouldNotBeNull();
    }

    private static ExplorationPlan Plan(Invariants what, IPatchProtocol protocol, FetchModel? model, PatchShape? shape)
        => ExplorationPlan.Of(() => new PatchScenario(protocol, shape) { CheckedOnly = what }).Under(model ?? FetchModel.SdmWorst).Within(300_000);

    private static InvariantViolation ShouldTrip(Invariants what, IPatchProtocol protocol, FetchModel? model = null, PatchShape? shape = null)
    {
        var violation = Plan(what, protocol, model, shape).Run().Counterexample.ShouldNotBeNull($"{protocol.Name} must trip {what.Show()}").Violation;
        violation.Invariant.ShouldBe(what);
        return violation;
    }

    private static void ShouldHold(Invariants what, IPatchProtocol protocol, FetchModel? model = null, PatchShape? shape = null)
    {
        var result = Plan(what, protocol, model, shape).Run();
        result.Counterexample.ShouldBeNull(result.Counterexample?.Violation.ToString());
        result.IsExhaustive.ShouldBeTrue(result.Reason);
    }

    private static ExplorationResult Run(Func<Scenario> make) => ExplorationPlan.Of(make).Under(FetchModel.Ideal).Run();

    private static IteratorProtocol Steps(PatchSteps steps, Invariants promises = Invariants.None) => new("mine", steps) { Promises = promises };

    private static IEnumerable<KernelStep> Int3First(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        yield return kernel.TextPoke(sites[0].Address, BreakpointState.Int3Opcode);
        yield return kernel.RunSync();
        yield return kernel.TextPoke(sites[0].Address + 1, sites[0].NewCode.AsMemory(1));
        yield return kernel.RunSync();
        yield return kernel.TextPoke(sites[0].Address, sites[0].NewCode.AsMemory(0, 1));
        yield return kernel.RunSync();
    }

    private static IEnumerable<KernelStep> AtOnce(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        yield return kernel.TextPoke(sites[0].Address, sites[0].NewCode);
        yield return kernel.RunSync();
    }

    private static IEnumerable<KernelStep> FirstByteFirst(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        yield return kernel.TextPoke(sites[0].Address, BreakpointState.Int3Opcode);
        yield return kernel.RunSync();
        yield return kernel.TextPoke(sites[0].Address, new byte[] { 0xe9 });
        yield return kernel.TextPoke(sites[0].Address + 1, sites[0].NewCode.AsMemory(1));
    }

    private static IEnumerable<KernelStep> OneByteTooFar(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        yield return kernel.TextPoke(sites[0].Address, new byte[] { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 });
    }

    /// <summary>One client queues the higher site, another pokes the lower one: that of June 2025.</summary>
    private static IEnumerable<KernelStep> HighThenLow(PatchContext kernel, IReadOnlyList<PatchSite> sites, bool looksAtOrder)
    {
        var array = TextPokeArray.In(kernel.Kernel);
        yield return KernelStep.Call(array.BatchAdd(kernel, sites[1]));
        yield return KernelStep.Call(looksAtOrder ? array.Single(kernel, sites[0]) : array.SingleUnordered(kernel, sites[0]));
    }

    /// <summary>LiteInst's handler, which waits for the INT3 to go, under a patcher that waits for everybody to answer.</summary>
    private sealed class SyncingWordPatch(WordPatch whole) : IPatchProtocol
    {
        public string Name => "word_patch with syncs";

        public string Summary => Name;

        public bool MaySkip => false;

        public Invariants PromisesUnder(FetchModel model) => whole.PromisesUnder(model);

        public IPatcher Attach(LinuxKernel kernel) => new Patcher(whole.Attach(kernel));

        private sealed class Patcher(IPatcher inner) : IPatcher
        {
            public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites) => Replace(kernel, inner.Apply(kernel, sites));

            private static IEnumerable<KernelStep> Replace(PatchContext kernel, IEnumerable<KernelStep> steps)
            {
                foreach (var step in steps)
                {
                    if (step is Subroutine call) yield return KernelStep.Call(Replace(kernel, call.Steps));
                    else yield return step is Delay ? kernel.RunSync() : step;
                }
            }
        }
    }
}
