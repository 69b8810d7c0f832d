namespace LivePatchLab.Machine.Tests;

/// <summary>The same run out of the same seed, by each engine for itself, and by all of them one run.</summary>
public sealed class DeterminismTests
{
    private const ulong Seeds = 3;

    private const int Quanta = 30;

    private const long QuantumCycles = 7_001;

    public static TheoryData<string> Sources => [.. LockStepSources.All.Select(source => source.Name)];

    [Theory]
    [MemberData(nameof(Sources))]
    public void A_seed_ends_in_one_state_whatever_runs_it_and_however_often(string name)
    {
        var source = LockStepSources.All.First(s => s.Name == name);
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var ends = Engines.Here.SelectMany(engine => new[] { End(source, seed, engine), End(source, seed, engine) }).ToList();
            ends.Distinct().ShouldHaveSingleItem($"seed {seed}");
            ends[0].ShouldNotBe(End(source, seed + 1000, ExecutionEngine.Interpreter));
        }
    }

    private static (StateHash Hash, string Output) End(LockStepSource source, ulong seed, ExecutionEngine engine)
    {
        using var scene = source.Make(seed, engine);
        for (var i = 1; i <= Quanta && !scene.IsOver; i++)
        {
            scene.BeforeQuantum();
            scene.Machine.Run(clockLimitCycles: i * QuantumCycles);
        }

        return (scene.Machine.Hash(), scene.Output);
    }
}
