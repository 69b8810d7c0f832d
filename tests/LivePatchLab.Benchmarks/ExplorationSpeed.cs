using LivePatchLab.Exploration;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>How many executions a second the explorer runs: the int3 litmus of two CPUs, by each strategy.</summary>
internal static class ExplorationSpeed
{
    public static Benchmark Benchmark { get; } = new("explore", "executions of text_poke_bp on one site, with one executor that comes by twice, under sdm-worst; warm; depth-first on one processor, the others on all", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("strategy", "executions", "ms", "executions/s", "per processor", "transitions/execution", "exhaustive (1) or not (0)");
        var shape = new PatchShape { Visits = 2 };
        foreach (var strategy in (IStrategy[])[new DepthFirst(), new DepthFirst(reduces: false), new RandomWalk(), new ProbabilisticConcurrencyTesting(), new DelayBounded()])
        {
            var plan = ExplorationPlan.Of(() => new PatchScenario(Protocols.TextPokeBp, shape)).Under(FetchModel.SdmWorst).By(strategy).Within(300_000);
            plan.Within(30_000).Run();
            var result = plan.Run();
            if (result.Counterexample is not null) throw new InvalidOperationException("the kernel's protocol was found wrong, and that is no measurement");
            var processors = strategy.IsRandom ? Environment.ProcessorCount : 1;
            table.Add(strategy.Name, result.Executions, result.HostSeconds * 1e3, result.ExecutionsPerSecond, result.ExecutionsPerSecond / processors, (double)result.Transitions / result.Executions, result.IsExhaustive ? 1 : 0);
        }

        return table;
    }
}
