using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

public class ExplorationTests
{
    public static TheoryData<string> Strategies => ["depth-first", "random-walk", "pct", "delay-bounded"];

    [Theory]
    [InlineData("ideal")]
    [InlineData("sdm-worst")]
    public void The_kernels_protocol_passes_when_every_interleaving_is_run(string model)
    {
        var result = ExplorationPlan.Of(Protocols.TextPokeBp).Under(Model(model)).Run();
        result.Verdict.ShouldBe(Verdict.Pass);
        result.IsExhaustive.ShouldBeTrue();
        result.Control!.Verdict.ShouldBe(Verdict.Violation);
        result.NotProven.ShouldNotBeEmpty();
    }

    [Theory]
    [InlineData(TextPokeBp.PhaseBreakpoint, Invariants.NothingTorn)]
    [InlineData(TextPokeBp.PhaseTail, Invariants.NothingTorn)]
    [InlineData(TextPokeBp.PhaseFirstByte, Invariants.NewAfterReturn)]
    public void A_sync_that_is_left_out_is_missed_under_the_worst_model(string phase, Invariants invariant)
    {
        var found = ExplorationPlan.Of(Protocols.TextPokeBp.Without(phase)).Under(FetchModel.SdmWorst).Run().Counterexample.ShouldNotBeNull();
        found.Violation.Invariant.ShouldBe(invariant);
        found.Entries[^1].Kind.ShouldBe(TraceKind.Violation);
    }

    [Theory]
    [MemberData(nameof(Strategies))]
    public void Every_strategy_finds_the_dropped_sync_and_passes_the_whole_protocol_beside_it(string name)
    {
        var wrong = Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail);
        Plan(wrong, name).Run().Verdict.ShouldBe(Verdict.Violation);
        Plan(Protocols.TextPokeBp, name).WithControl(wrong).Run().Verdict.ShouldBe(Verdict.Pass);
    }

    [Theory]
    [InlineData("random-walk")]
    [InlineData("pct")]
    public void Chance_that_finds_nothing_decides_nothing_beside_a_control_that_is_easy_to_catch(string name)
    {
        var result = Plan(Protocols.TextPokeBp, name).Run();
        result.Control!.Verdict.ShouldBe(Verdict.Violation);
        result.Verdict.ShouldBe(Verdict.Inconclusive);
    }

    [Theory]
    [MemberData(nameof(Strategies))]
    public void A_counterexample_replays_to_the_same_state_from_the_text_of_its_decisions(string name)
    {
        var plan = Plan(Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail), name);
        var found = plan.Run().Counterexample!;
        var again = plan.Replay(found.Decisions.ToString()).ShouldNotBeNull();
        again.StateHash.ShouldBe(found.StateHash);
        again.Violation.ShouldBe(found.Violation);
        again.Entries.Select(e => e.ToString()).ShouldBe(found.Entries.Select(e => e.ToString()));
    }

    [Fact]
    public void The_same_seed_finds_the_same_counterexample_however_many_threads_there_are()
    {
        var plan = Plan(Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail), "random-walk");
        var (a, b) = (plan.Run(), plan.Run());
        a.Counterexample!.Decisions.ToString().ShouldBe(b.Counterexample!.Decisions.ToString());
        a.Executions.ShouldBe(b.Executions);
        plan.From(new Seed(2)).Run().Counterexample!.Seed.ShouldNotBe(a.Counterexample.Seed);
    }

    [Fact]
    public void Decisions_of_another_scenario_are_refused()
        => Should.Throw<BadInputException>(() => ExplorationPlan.Of(Protocols.TextPokeBp).Replay("f3 s9")).Message.ShouldContain("decision 1");

    [Fact]
    public void A_pass_without_a_caught_control_is_none()
    {
        var plan = ExplorationPlan.Of(() => new PatchScenario(Protocols.TextPokeBp));
        plan.Run().Verdict.ShouldBe(Verdict.Inconclusive);
        var blind = plan.WithControl(Protocols.TextPokeBp).Run();
        blind.Verdict.ShouldBe(Verdict.Inconclusive);
        blind.Reason!.ShouldContain("was not caught");
    }

    [Fact]
    public void A_search_that_is_cut_short_proves_nothing()
        => ExplorationPlan.Of(Protocols.TextPokeBp).Within(3).Run().Verdict.ShouldBe(Verdict.Inconclusive);

    [Fact]
    public void A_protocol_of_ones_own_that_forgets_everything_is_caught()
        => ExplorationPlan.Of(WriteAtOnce).Under(FetchModel.SdmWorst).Run().Counterexample!.Scenario.ShouldStartWith(nameof(WriteAtOnce));

    [Fact]
    public void A_protocol_that_never_comes_to_its_end_is_stopped_and_named()
    {
        var result = ExplorationPlan.Of(YieldForEver).Run();
        result.Verdict.ShouldBe(Verdict.Inconclusive);
        result.Reason!.ShouldContain(nameof(YieldForEver));
        result.Reason!.ShouldContain("smp_rmb");
    }

    [Fact]
    public void An_exception_of_a_protocol_reaches_whoever_explores_it()
    {
        Should.Throw<InvalidOperationException>(() => ExplorationPlan.Of(Throw).Run()).Message.ShouldBe("mine");
        Should.Throw<InvalidOperationException>(() => ExplorationPlan.Of(Throw).By(new RandomWalk()).Run()).Message.ShouldBe("mine");
    }

    [Fact]
    public void A_protocol_that_refuses_what_it_is_to_patch_is_no_pass()
    {
        ExplorationPlan.Of(new OneByteFlip(), new PatchShape()).Run().Reason.ShouldNotBeNull().ShouldContain("before it has stored anything: -EINVAL");

        // Left to itself, it is given what it can patch.
        foreach (var protocol in Protocols.All)
            (ExplorationPlan.Of(protocol).Under(FetchModel.Ideal).Within(100).Run().Reason ?? "").ShouldNotContain("before it has stored anything", Case.Sensitive, protocol.Name);
    }

    [Fact]
    public void Chance_that_does_not_come_from_the_machine_is_noticed()
    {
        var count = 0;
        IEnumerable<KernelStep> Fickle(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            for (var left = count++ % 3; left > 0; left--) yield return kernel.RunSync();
            yield return kernel.TextPoke(sites[0].Address, sites[0].NewCode!);
            yield return kernel.RunSync();
        }

        ExplorationPlan.Of(Fickle, shape: new() { SiteOffset = 0 }).Under(FetchModel.Ideal).Run().Reason.ShouldNotBeNull().ShouldContain("something outside the machine's choices");
    }

    [Fact]
    public void Shrinking_keeps_the_violation_and_loses_the_rest()
    {
        var shape = new PatchShape { Executors = 2, Visits = 3 };
        var found = ExplorationPlan.Of(Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail), shape).Under(FetchModel.SdmWorst).By(new RandomWalk()).Within(20_000).Run().Counterexample!;
        var changes = found.Entries.Zip(found.Entries.Skip(1)).Count(pair => pair.First.Cpu != pair.Second.Cpu);
        changes.ShouldBeLessThanOrEqualTo(8, string.Join('\n', found.Entries));
    }

    private static IEnumerable<KernelStep> WriteAtOnce(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        foreach (var site in sites) yield return kernel.TextPoke(site.Address, site.NewCode);
    }

    private static IEnumerable<KernelStep> YieldForEver(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        while (true) yield return Fence.Read;
    }

    private static IEnumerable<KernelStep> Throw(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        yield return kernel.RunSync();
        throw new InvalidOperationException("mine");
    }

    private static ExplorationPlan Plan(IPatchProtocol protocol, string strategy) => ExplorationPlan.Of(protocol).Under(FetchModel.SdmWorst).By(strategy switch
    {
        "depth-first" => new DepthFirst(),
        "random-walk" => new RandomWalk(),
        "pct" => new ProbabilisticConcurrencyTesting(),
        _ => new DelayBounded(3),
    }).Within(20_000);

    private static FetchModel Model(string name) => FetchModel.Presets.Single(m => m.Name == name);
}
