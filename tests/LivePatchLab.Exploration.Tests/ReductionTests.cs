using LivePatchLab.Machine;

namespace LivePatchLab.Exploration.Tests;

/// <summary>What partial-order reduction leaves out is only what cannot be told apart.</summary>
public class ReductionTests
{
    private const long ExecutionsMax = 20_000;

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 24)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Every_outcome_of_every_interleaving_is_one_of_the_reduced_search_and_the_other_way_round(int seed)
    {
        foreach (var model in (FetchModel[])[FetchModel.Ideal, FetchModel.SdmWorst])
        {
            foreach (var order in (MemoryOrder[])[MemoryOrder.SequentiallyConsistent, MemoryOrder.TotalStoreOrder, MemoryOrder.PartialStoreOrder])
            {
                var (all, allExecutions) = Outcomes(new RandomScenario(seed, order), model, new DepthFirst(reduces: false));
                if (allExecutions == ExecutionsMax) continue;
                var (reduced, executions) = Outcomes(new RandomScenario(seed, order), model, new DepthFirst());
                reduced.Order().ShouldBe(all.Order(), $"seed {seed}, {model}, {order}: {allExecutions} executions, {executions} reduced");
                executions.ShouldBeLessThanOrEqualTo(allExecutions);
            }
        }
    }

    [Fact]
    public void An_interrupt_that_was_sent_late_is_tried_before_everything_its_target_did()
    {
        var (all, _) = Outcomes(new LateInterruptScenario(), FetchModel.Ideal, new DepthFirst(reduces: false));
        var (reduced, _) = Outcomes(new LateInterruptScenario(), FetchModel.Ideal, new DepthFirst());
        all.Count.ShouldBe(4);
        reduced.Order().ShouldBe(all.Order());
    }

    [Fact]
    public void A_search_that_tries_no_other_order_is_found_out()
    {
        Enumerable.Range(1, 8).Count(seed => CountOf(seed, new DelayBounded(0)) < CountOf(seed, new DepthFirst())).ShouldBeGreaterThan(3);

        static int CountOf(int seed, IStrategy strategy) => Outcomes(new RandomScenario(seed), FetchModel.Ideal, strategy).Outcomes.Count;
    }

    private static (HashSet<string> Outcomes, long Executions) Outcomes(Scenario scenario, FetchModel model, IStrategy strategy)
    {
        using var machine = new ScenarioMachine(scenario, model);
        var search = strategy.Begin(new(1));
        var outcomes = new HashSet<string>();
        var ordinal = 0L;
        for (; ordinal < ExecutionsMax && search.TryBegin(ordinal); ordinal++)
        {
            var end = machine.Execute(search, records: false);
            if (end != ExecutionEnd.Abandoned) outcomes.Add($"{machine.Machine.Hash()} {machine.Run.Violation?.Invariant}");
        }

        return (outcomes, ordinal);
    }
}
