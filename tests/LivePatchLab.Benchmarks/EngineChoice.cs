using LivePatchLab.Machine;

namespace LivePatchLab.Benchmarks;

/// <summary>The engines as the tables name them; only those that there are on this host.</summary>
internal static class EngineChoice
{
    /// <summary>The interpreter first: the others are measured against it.</summary>
    public static IReadOnlyList<ExecutionEngine> All => Machine.Tests.Engines.Here;

    public static string NameOf(ExecutionEngine engine) => engine.ToString().ToLowerInvariant();
}
