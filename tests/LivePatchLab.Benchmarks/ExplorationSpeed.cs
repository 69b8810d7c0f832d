using LivePatchLab.Exploration;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>How many executions a second the explorer runs: the int3 litmus of two CPUs, by each strategy.</summary>
internal static class ExplorationSpeed
{
    public static Benchmark Benchmark { get; } = new("explore", "executions of text_poke_bp on one site, with one executor that comes by once or twice, under sdm-worst; warm; depth-first on one processor, the others on all", Measure);

    private const long ExecutionsLeast = 300_000;

    private static ResultTable Measure()
    {
        var table = new ResultTable("strategy and visits", "executions", "ms", "executions/s", "per processor", "transitions/execution", "exhaustive (1) or not (0)");
        foreach (var visits in (int[])[1, 2])
        {
            var shape = new PatchShape { Visits = visits };
            foreach (var strategy in (IStrategy[])[new DepthFirst(), new DepthFirst(reduces: false), new RandomWalk(), new ProbabilisticConcurrencyTesting()])
            {
                var plan = ExplorationPlan.Of(() => new PatchScenario(Protocols.TextPokeBp, shape)).Under(FetchModel.SdmWorst).By(strategy).Within(ExecutionsLeast);

                // The runtime compiles again, and better, what it has seen at work for a second or two.
                Repeat(plan, ExecutionsLeast);
                var (executions, transitions, seconds, isExhaustive) = Repeat(plan, ExecutionsLeast);
                var processors = strategy.IsRandom ? Environment.ProcessorCount : 1;
                table.Add($"{strategy.Name}, {visits}", executions, seconds * 1e3, executions / seconds, executions / seconds / processors, (double)transitions / executions, isExhaustive ? 1 : 0);
            }
        }

        return table;
    }

    /// <summary>Searches again and again, as an exhaustive search of so small a situation ends soon.</summary>
    private static (long Executions, long Transitions, double Seconds, bool IsExhaustive) Repeat(ExplorationPlan plan, long executionsLeast)
    {
        var (executions, transitions, seconds, isExhaustive) = (0L, 0L, 0.0, false);
        while (executions < executionsLeast)
        {
            var result = plan.Run();
            if (result.Counterexample is not null) throw new InvalidOperationException("the kernel's protocol was found wrong, and that is no measurement");
            executions += result.Executions;
            transitions += result.Transitions;
            seconds += result.HostSeconds;
            isExhaustive = result.IsExhaustive;
        }

        return (executions, transitions, seconds, isExhaustive);
    }
}
