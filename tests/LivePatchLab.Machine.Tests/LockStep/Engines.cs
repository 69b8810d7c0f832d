namespace LivePatchLab.Machine.Tests;

/// <summary>The engines that there are on this host.</summary>
internal static class Engines
{
    /// <summary>The interpreter first: it is what the others are compared with.</summary>
    public static IReadOnlyList<ExecutionEngine> Here { get; } = HasTranslator()
        ? [ExecutionEngine.Interpreter, ExecutionEngine.Auto, ExecutionEngine.Translator]
        : [ExecutionEngine.Interpreter, ExecutionEngine.Auto];

    /// <summary>The same, with translators that take the host for another; see <see cref="OtherHosts"/>.</summary>
    public static IReadOnlyList<TestedEngine> On(string host) => [.. Here.Select(engine => new TestedEngine(engine, OtherHosts.All[host]))];

    private static bool HasTranslator()
    {
        try
        {
            using var machine = new SmpMachine(new() { Cpus = 1, Engine = ExecutionEngine.Translator });
            return machine.Engine == ExecutionEngine.Translator;
        }
        catch (PlatformNotSupportedException)
        {
            return false;
        }
    }
}
