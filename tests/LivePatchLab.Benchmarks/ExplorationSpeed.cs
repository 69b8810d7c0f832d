using LivePatchLab.Exploration;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>How many executions a second the explorer runs: the int3 litmus of two CPUs, by each strategy.</summary>
internal static class ExplorationSpeed
{
    public static Benchmark Benchmark { get; } = new("explore", "executions of text_poke_bp on one site, with one executor that comes by once or twice, and of the litmus test that asks the same, under sdm-worst; warm; depth-first on one processor, the others on all", Measure);

    private const long ExecutionsLeast = 300_000;

    private static ResultTable Measure()
    {
        var table = new ResultTable("strategy and visits", "executions", "ms", "executions/s", "per processor", "transitions/execution", "exhaustive (1) or not (0)", "ms/search");
        foreach (var (name, make) in Situations())
        {
            foreach (var strategy in (IStrategy[])[new DepthFirst(), new DepthFirst(reduces: false), new RandomWalk(), new ProbabilisticConcurrencyTesting()])
            {
                var plan = ExplorationPlan.Of(make).Under(FetchModel.SdmWorst).By(strategy).Within(ExecutionsLeast);

                // The runtime compiles again, and better, what it has seen at work for some seconds: an exhaustive search is over in a few milliseconds.
                Repeat(plan, 2 * ExecutionsLeast);
                var (executions, transitions, seconds, isExhaustive, searches) = Repeat(plan, ExecutionsLeast);
                var processors = strategy.IsRandom ? Environment.ProcessorCount : 1;
                table.Add($"{strategy.Name}, {name}", executions, seconds * 1e3, executions / seconds, executions / seconds / processors, (double)transitions / executions, isExhaustive ? 1 : 0, seconds * 1e3 / searches);
            }
        }

        return table;
    }

    /// <summary>By the number of visits, or as the litmus test: one patcher, one executor, one visit.</summary>
    private static IEnumerable<(string Name, Func<Scenario> Make)> Situations()
    {
        foreach (var visits in (int[])[1, 2])
        {
            var shape = new PatchShape { Visits = visits };
            yield return ($"{visits}", () => new PatchScenario(Protocols.TextPokeBp, shape));
        }

        var litmus = LitmusFile.Open(Path.Combine(LabFolder.Root, "data", "litmus", "which-sync", "p2-all-straddles-8.litmus"));
        yield return ("litmus", () => new LitmusScenario(litmus));
    }

    /// <summary>Searches again and again, as an exhaustive search of so small a situation ends soon.</summary>
    private static (long Executions, long Transitions, double Seconds, bool IsExhaustive, int Searches) Repeat(ExplorationPlan plan, long executionsLeast)
    {
        var (executions, transitions, seconds, isExhaustive, searches) = (0L, 0L, 0.0, false, 0);
        while (executions < executionsLeast)
        {
            var result = plan.Run();
            if (result.Counterexample is not null) throw new InvalidOperationException("the kernel's protocol was found wrong, and that is no measurement");
            executions += result.Executions;
            transitions += result.Transitions;
            seconds += result.HostSeconds;
            isExhaustive = result.IsExhaustive;
            searches++;
        }

        return (executions, transitions, seconds, isExhaustive, searches);
    }
}
