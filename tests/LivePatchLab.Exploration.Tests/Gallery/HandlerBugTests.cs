using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests.Gallery;

/// <summary>B01 to B17: what is violated, in what words, what memory holds where an INT3 was executed, and what each bug needs to be there.</summary>
public class HandlerBugTests
{
    [Theory]
    [InlineData(1, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xcc)]
    [InlineData(2, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xe8)]
    [InlineData(3, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xe8)]
    [InlineData(4, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xe8)]
    [InlineData(5, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xcc)]
    [InlineData(6, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xcc)]
    [InlineData(7, Invariants.NothingTorn, "at ffffffff81000106, which is neither the old e8")]
    [InlineData(8, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xcc)]
    [InlineData(9, Invariants.DescriptorOutlivesHandlers, "NULL pointer dereference of bp_patching.vec")]
    [InlineData(10, Invariants.DescriptorOutlivesHandlers, "bp_desc led to a stack frame that is gone|of text_poke_bp_batch(), which has returned")]
    [InlineData(11, Invariants.ArrayIsSorted, "not ascend: ffffffff81000200, ffffffff810001c0")]
    [InlineData(12, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0xe8)]
    [InlineData(13, Invariants.TrapsAreConsumed, "nobody consumed #BP at ffffffff81000100", 0x90)]
    [InlineData(14, Invariants.ForeignInt3Survives, "was told of 0 traps, and there was 1")]
    [InlineData(15, Invariants.NobodyInside, "at ffffffff81000100+1")]
    [InlineData(16, Invariants.NobodyInside, "at ffffffff81000100+2")]
    [InlineData(17, Invariants.EffectIsOldOrNew, "CPU1 has had 0 effects of old instructions and 0 of new ones, and not 1")]
    public void What_is_violated_is_what_was_violated_then(int number, Invariants invariant, string details, int? memory = null)
    {
        var found = Search(Bug(number)).Counterexample.ShouldNotBeNull();
        found.Violation.Invariant.ShouldBe(invariant, found.Violation.Detail);

        // The kernel's oops and the use that led to it are both the bug: which comes first is the search's affair.
        details.Split('|').ShouldContain(detail => found.Violation.Detail.Contains(detail, StringComparison.Ordinal), found.Violation.Detail);
        if (memory is { } first) found.SiteHistory.Last(version => version.Site == found.Violation.Address).Bytes[0].ShouldBe((byte)first);
    }

    [Fact]
    public void Stores_in_program_order_hide_the_flag_that_comes_too_late()
    {
        foreach (var order in (MemoryOrder[])[MemoryOrder.SequentiallyConsistent, MemoryOrder.TotalStoreOrder])
            PassesWithoutControl(() => new PatchScenario(new Ftrace2012PlainFlag(), new() { SiteOffset = 0, MemoryOrder = order }), FetchModel.Ideal);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void An_interrupt_gate_keeps_the_state_for_as_long_as_a_handler_runs(int number) => PassesWithoutControl(Bug(number).Broken!, FetchModel.Ideal);

    [Theory]
    [InlineData(4)]
    [InlineData(13)]
    public void A_missing_sync_is_missed_without_stale_fetches_too_because_nobody_waits_for_the_handler(int number)
        => ExplorationPlan.Of(Bug(number).Broken!).Under(FetchModel.Ideal).Run().Counterexample.ShouldNotBeNull().Violation.Invariant.ShouldBe(Invariants.TrapsAreConsumed);

    [Fact]
    public void A_probe_armed_without_a_sync_becomes_a_jump_under_one_who_never_saw_its_INT3()
    {
        Func<Scenario> broken = () => new OptimisedProbe(KprobesOptions.Mainline with { SynchronisesCores = false });
        var found = ExplorationPlan.Of(broken).Under(FetchModel.AmdAsync).Run().Counterexample.ShouldNotBeNull().Violation;
        found.Invariant.ShouldBe(Invariants.NobodyInside);
        found.Detail.ShouldContain("at ffffffff81000100+1");
        PassesWithoutControl(broken, FetchModel.Ideal);
        PassesWithoutControl(() => new OptimisedProbe(KprobesOptions.Mainline), FetchModel.AmdAsync);
    }

    [Fact]
    public void A_call_within_one_quadword_can_be_rewritten_at_once()
        => PassesWithoutControl(() => new PatchScenario(new FtraceCallerDirect(), new() { SiteOffset = 0 }), FetchModel.AmdAsync);

    [Fact]
    public void A_full_array_has_no_room_for_a_single_site_and_only_the_mended_one_looks()
    {
        var found = ExplorationPlan.Of(() => Full((array, kernel, site) => array.SingleUnordered(kernel, site))).Under(FetchModel.Ideal).Within(100).Run().Counterexample.ShouldNotBeNull().Violation;
        found.Invariant.ShouldBe(Invariants.ArrayIsSorted);
        found.Detail.ShouldBe("an array of 256 entries says that it has 448");
        ExplorationPlan.Of(() => Full((array, kernel, site) => array.Single(kernel, site))).Under(FetchModel.Ideal).By(new RandomWalk()).Within(10).Run().Counterexample.ShouldBeNull();
    }

    [Fact]
    public void The_theories_of_June_2025_need_a_machine_that_x86_is_not()
    {
        var theory = Bug(12);
        PassesWithoutControl(theory.Broken!, FetchModel.AmdAsync);
        PassesWithoutControl(theory.Broken!, FetchModel.Ideal);
        var trapGate = ExplorationPlan.Of(theory.Broken!).Under(BugGallery.IdealWithTrapGate).Run().Counterexample.ShouldNotBeNull().Violation;
        trapGate.Invariant.ShouldBe(Invariants.TrapsAreConsumed);
    }

    [Fact]
    public void The_retry_of_probes_keeps_alive_who_has_no_sync_and_is_dead_code_for_who_has()
    {
        var withoutSync = KprobesOptions.Mainline with { SynchronisesCores = false, RetriesVanished = true };
        PassesWithoutControl(() => new UnregisteredProbe(withoutSync), FetchModel.AmdAsync);
        Retries(withoutSync).ShouldBeGreaterThan(0);
        Retries(withoutSync with { SynchronisesCores = true }).ShouldBe(0);
    }

    [Theory]
    [InlineData(15)]
    [InlineData(16)]
    public void It_takes_a_task_that_was_preempted(int number)
    {
        var found = Search(Bug(number)).Counterexample!;
        found.Entries.ShouldContain(e => e.Kind == TraceKind.Interrupt && e.Text.Contains("reschedule", StringComparison.Ordinal), string.Join('\n', found.Entries));
    }

    private static TwoClients Full(Func<TextPokeArray, PatchContext, PatchSite, IEnumerable<KernelStep>> single) => new(single, TextPokeArray.LocationsMax);

    /// <summary>How often the handler of probes went back, in all executions.</summary>
    private static long Retries(KprobesOptions options)
    {
        var counted = new RetriesCounted();
        var result = ExplorationPlan.Of(() => new UnregisteredProbe(options) { Oracle = counted }).Under(FetchModel.AmdAsync).Run();
        result.Counterexample.ShouldBeNull();
        return counted.Retries;
    }

    private static HistoricalBug Bug(int number) => BugGallery.All.Single(b => b.Number == number);

    private static ExplorationResult Search(HistoricalBug bug) => ExplorationPlan.Of(bug.Broken!).Under(bug.Model).Within(bug.ExecutionsMax).Run();

    private static void PassesWithoutControl(Func<Scenario> make, FetchModel model)
    {
        var result = ExplorationPlan.Of(make).Under(model).Run();
        result.Counterexample?.Violation.ShouldBeNull();
        result.IsExhaustive.ShouldBeTrue(result.Reason);
    }

    private sealed class RetriesCounted : Checker
    {
        public long Retries { get; private set; }

        public override Invariants Invariant => Invariants.None;

        public override void End(ScenarioRun run) => Retries += run.Kernel.Globals<Kprobes>(_ => throw new InvalidOperationException("the scenario has no probes")).Retries;
    }
}
