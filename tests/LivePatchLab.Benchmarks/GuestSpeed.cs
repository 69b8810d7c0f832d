using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Benchmarks;

/// <summary>The nine kernels of data/guests/kernels on the bare processor, on qemu-x86_64, with the translator and with the interpreter alone: one process each, side by side.</summary>
internal static class GuestSpeed
{
    /// <summary>Processor time that the fastest takes for one measurement. The others do the same work, except for the interpreter.</summary>
    private const double FastestSeconds = 0.35;

    /// <summary>The interpreter does one iteration of so many: rates are compared, and the table is wanted in minutes.</summary>
    private const int InterpretedShare = 10;

    private const int Rounds = 3, RoundsInterpreted = 2;

    private static readonly string Guest = Path.Combine("data", "guests", "kernels");
    private static readonly string Livepatch = Path.Combine(AppContext.BaseDirectory, "livepatch");

    /// <summary>Who runs the guest, in how many rounds, and which part of the iterations.</summary>
    private sealed record Runner(string Name, string Program, string[] Arguments, int Rounds = Rounds, int Share = 1);

    /// <summary>A number of iterations, with what it computes and how many instructions it takes.</summary>
    private sealed record Work(int Iterations, long Instructions, string Output);

    public static Benchmark Benchmark { get; } = new(
        "guests", "guest MIPS by processor time, translation counted and start-up not; --kernel NAME measures one of the nine", Measure);

    /// <summary>The kernels, in the order of their numbers.</summary>
    public static IReadOnlyList<string> Kernels { get; } = ["crc32", "sieve", "list", "matrix", "states", "sha256", "quicksort", "kernel", "fib"];

    /// <summary>The kernel to measure; all when null.</summary>
    public static string? Only { get; set; }

    private static ResultTable Measure()
    {
        var runners = Runners().ToList();
        string[] ours = [.. Engines().Select(EngineChoice.NameOf)];
        string[] others = [.. runners.Select(runner => runner.Name).Except(ours)];
        (string Mine, string Other)[] ratios = [.. from mine in ours from other in others select (mine, other)];
        var table = new ResultTable(["kernel", .. runners.Select(runner => runner.Name), .. ratios.Select(ratio => $"{ratio.Mine} / {ratio.Other}")]);
        foreach (var (number, name) in Kernels.Index().Where(kernel => Only is null || kernel.Item == Only))
        {
            var mips = Mips(number, runners);
            table.Add(name, [.. runners.Select(runner => mips[runner.Name]), .. ratios.Select(ratio => mips[ratio.Mine] / mips[ratio.Other])]);
        }

        table.AddGeometricMeanAndMinimum();
        table.Note("One process a measurement; its user and system time (getrusage, microseconds), less that of the same process for no iteration, which is its start-up.");
        table.Note(FormattableString.Invariant($"Both are the least of {Rounds} rounds ({RoundsInterpreted} for the interpreter); a round goes through the columns from left to right, so that a disturbance hits all alike."));
        table.Note(FormattableString.Invariant($"So many iterations that {runners[0].Name} takes {FastestSeconds} s or more; the interpreter does one of {InterpretedShare}. What translates to native code has its time for that counted."));
        if (ChildProcess.Find("qemu-x86_64") is null) table.Note("no qemu-x86_64 here: apt-get install qemu-user");
        return table;
    }

    /// <summary>The translator as users have it, for what is hot, and the interpreter alone.</summary>
    private static IEnumerable<ExecutionEngine> Engines()
        => EngineChoice.All.Contains(ExecutionEngine.Translator) ? [ExecutionEngine.Auto, ExecutionEngine.Interpreter] : [ExecutionEngine.Interpreter];

    private static IEnumerable<Runner> Runners()
    {
        if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64) yield return new("hardware", Path.Combine(LabFolder.Root, Guest), []);
        if (ChildProcess.Find("qemu-x86_64") is { } qemu) yield return new("qemu", qemu, [Guest]);
        foreach (var engine in Engines())
        {
            var runner = new Runner(EngineChoice.NameOf(engine), Livepatch, ["run", "--engine", EngineChoice.NameOf(engine), Guest]);
            yield return engine == ExecutionEngine.Interpreter ? runner with { Rounds = RoundsInterpreted, Share = InterpretedShare } : runner;
        }
    }

    private static Dictionary<string, double> Mips(int kernel, List<Runner> runners)
    {
        var iterations = Iterations(kernel, runners[0]);
        var none = Count(kernel, 0);
        var works = runners.Select(runner => runner.Share).Distinct().ToDictionary(share => share, share => Count(kernel, Math.Max(1, iterations / share)));
        var best = runners.ToDictionary(runner => runner.Name, _ => (None: double.MaxValue, All: double.MaxValue));
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var runner in runners.Where(runner => round < runner.Rounds))
            {
                var (startUp, all) = best[runner.Name];
                best[runner.Name] = (Math.Min(startUp, Seconds(runner, kernel, none)), Math.Min(all, Seconds(runner, kernel, works[runner.Share])));
            }
        }

        // The least of each, and then the difference: the least difference would be the one with the most disturbed start-up.
        return runners.ToDictionary(
            runner => runner.Name,
            runner => (works[runner.Share].Instructions - none.Instructions) / (best[runner.Name].All - best[runner.Name].None) / 1e6);
    }

    /// <summary>How often a runner goes through a kernel in the time that a measurement is to take.</summary>
    private static int Iterations(int kernel, Runner runner)
    {
        const double SecondsToExtrapolate = 0.1;
        for (var iterations = 8 * runner.Share; ; iterations *= 4)
        {
            var seconds = Run(runner, kernel, iterations).CpuSeconds - Run(runner, kernel, 0).CpuSeconds;
            if (seconds >= SecondsToExtrapolate) return (int)Math.Ceiling(iterations * Math.Max(1, FastestSeconds / seconds));
        }
    }

    private static Work Count(int kernel, int iterations)
    {
        var run = ChildProcess.Run(Livepatch, "run", "--stats", Guest, Text(kernel), Text(iterations));
        if (run.Status != 0) throw new BadInputException($"kernel {kernel} ended with {run.Status}: {run.Errors}");
        return new(iterations, JsonNode.Parse(run.Errors)!["instructions"]!.GetValue<long>(), run.Output);
    }

    /// <summary>Processor time of one run; a run that computes something else is no measurement.</summary>
    private static double Seconds(Runner runner, int kernel, Work work)
    {
        var (seconds, output) = Run(runner, kernel, work.Iterations);
        if (output != work.Output) throw new BadInputException($"{runner.Name}: kernel {kernel}, {work.Iterations} iterations: '{output.Trim()}', not '{work.Output.Trim()}'");
        return seconds;
    }

    private static (double CpuSeconds, string Output) Run(Runner runner, int kernel, int iterations)
    {
        var run = ChildProcess.Run(runner.Program, [.. runner.Arguments, Text(kernel), Text(iterations)]);
        if (run.Status != 0) throw new BadInputException($"{runner.Name}: kernel {kernel}, {iterations} iterations: status {run.Status}: {run.Errors}");
        return (run.CpuSeconds, run.Output);
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
