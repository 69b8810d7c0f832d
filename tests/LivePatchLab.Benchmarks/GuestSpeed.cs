using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Machine.Tests;

namespace LivePatchLab.Benchmarks;

/// <summary>The nine kernels of data/guests/kernels on the bare processor, on qemu-x86_64, with the translator and with the interpreter alone, side by side.</summary>
internal static class GuestSpeed
{
    /// <summary>Processor time that the fastest takes for one measurement. The others do the same work, except for the interpreter.</summary>
    private const double FastestSeconds = 0.3;

    /// <summary>The interpreter does one iteration of so many: rates are compared, and the table is wanted in minutes.</summary>
    private const int InterpretedShare = 16;

    private const int Rounds = 4, RoundsInterpreted = 2;

    private const string Repairing = "repairing";

    private static readonly string Guest = Path.Combine("data", "guests", "kernels");

    /// <summary>Who runs the guest, a program or one of our engines, in how many rounds, and which part of the iterations.</summary>
    private sealed record Runner(string Name, string? Program, string[] Arguments, TestedEngine Engine = default, int Rounds = Rounds, int Share = 1);

    /// <summary>One run: its processor time, what it computed, and how many instructions that took if one of ours was asked.</summary>
    private sealed record Measurement(double CpuSeconds, string Output, long? Instructions);

    public static Benchmark Benchmark { get; } = new(
        "guests", "guest MIPS by processor time, translation counted and start-up not; --kernel NAME measures one of the nine", Measure);

    /// <summary>The kernels, in the order of their numbers.</summary>
    public static IReadOnlyList<string> Kernels { get; } = ["crc32", "sieve", "list", "matrix", "states", "sha256", "quicksort", "kernel", "fib"];

    /// <summary>The kernel to measure; all when null.</summary>
    public static string? Only { get; set; }

    private static ResultTable Measure()
    {
        var runners = Runners().ToList();
        string[] ours = [.. Engines().Select(NameOf)];
        string[] others = [.. runners.Where(runner => runner.Program is not null).Select(runner => runner.Name)];
        (string Mine, string Other)[] ratios = [.. from mine in ours where mine != Repairing from other in others select (mine, other), .. ours.Contains(Repairing) ? [(Repairing, ours[0])] : Array.Empty<(string, string)>()];
        var table = new ResultTable(["kernel", .. runners.Select(runner => runner.Name), .. ratios.Select(ratio => $"{ratio.Mine} / {ratio.Other}")]);
        foreach (var (number, name) in Kernels.Index().Where(kernel => Only is null || kernel.Item == Only))
        {
            var mips = Mips(number, runners);
            table.Add(name, [.. runners.Select(runner => mips[runner.Name]), .. ratios.Select(ratio => mips[ratio.Mine] / mips[ratio.Other])]);
        }

        table.AddGeometricMeanAndMinimum();
        table.Note("User and system time (getrusage, microseconds), less that of the same for no iteration, which is start-up. The engines run in this process, a new machine each time, as in a notebook: the JIT is warm, every translation is made anew.");
        table.Note(FormattableString.Invariant($"Both are the least of {Rounds} rounds ({RoundsInterpreted} for the interpreter); a round goes through the columns from left to right, so that a disturbance hits all alike."));
        table.Note(FormattableString.Invariant($"So many iterations that {runners[0].Name} takes {FastestSeconds} s or more; the interpreter does one of {InterpretedShare}. What translates to native code has its time for that counted."));
        if (ours.Contains(Repairing)) table.Note($"{Repairing}: the same, with every flag that is undefined put right where it may be seen, whether or not this processor leaves it as the lab has it. No make of processor costs more.");
        if (ChildProcess.Find("qemu-x86_64") is null) table.Note("no qemu-x86_64 here: apt-get install qemu-user");
        return table;
    }

    /// <summary>The translator as users have it, for what is hot, and the interpreter alone.</summary>
    private static IEnumerable<TestedEngine> Engines()
        => EngineChoice.All.Contains(ExecutionEngine.Translator)
            ? [ExecutionEngine.Auto, new TestedEngine(ExecutionEngine.Auto, OtherHosts.All[OtherHosts.Repairing]), ExecutionEngine.Interpreter]
            : [ExecutionEngine.Interpreter];

    private static string NameOf(TestedEngine engine) => engine.Host == NativeHost.Own ? EngineChoice.NameOf(engine.Kind) : Repairing;

    private static IEnumerable<Runner> Runners()
    {
        if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64) yield return new("hardware", Path.Combine(LabFolder.Root, Guest), []);
        if (ChildProcess.Find("qemu-x86_64") is { } qemu) yield return new("qemu", qemu, [Guest]);
        foreach (var engine in Engines())
        {
            var runner = new Runner(NameOf(engine), null, [], engine);
            yield return engine.Kind == ExecutionEngine.Interpreter ? runner with { Rounds = RoundsInterpreted, Share = InterpretedShare } : runner;
        }
    }

    private static Dictionary<string, double> Mips(int kernel, List<Runner> runners)
    {
        var iterations = Iterations(kernel, runners[0]);
        int Part(Runner runner) => Math.Max(1, iterations / runner.Share);
        // The first one runs each part once to say what it computes.
        var runs = runners.Select(Part).Distinct().Select(count => (Runner: runners[0], Iterations: count, Measured: Run(runners[0], kernel, count))).ToList();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var runner in runners.Where(runner => round < runner.Rounds))
                foreach (var count in (int[])[0, Part(runner)])
                    runs.Add((runner, count, Run(runner, kernel, count)));
        }

        // A run that computes something else is no measurement. The count of instructions is ours, and that of all who do the same work.
        var instructions = runs.GroupBy(run => run.Iterations)
            .ToDictionary(same => same.Key, same => Instructions(kernel, same.Key, [.. same.Select(run => (run.Runner.Name, run.Measured))]));

        // The least of each, and then the difference: the least difference would be the one with the most disturbed start-up.
        return runners.ToDictionary(runner => runner.Name, runner =>
        {
            var best = runs.Where(run => run.Runner == runner).GroupBy(run => run.Iterations).ToDictionary(same => same.Key, same => same.Min(run => run.Measured.CpuSeconds));
            var count = Part(runner);
            return (instructions[count] - instructions[0]) / (best[count] - best[0]) / 1e6;
        });
    }

    /// <summary>How often a runner goes through a kernel in the time that a measurement is to take.</summary>
    private static int Iterations(int kernel, Runner runner)
    {
        const double SecondsToExtrapolate = 0.05;
        for (var iterations = 64; ; iterations *= 4)
        {
            var seconds = Run(runner, kernel, iterations).CpuSeconds - Run(runner, kernel, 0).CpuSeconds;
            if (seconds >= SecondsToExtrapolate) return (int)Math.Ceiling(iterations * Math.Max(1, FastestSeconds / seconds));
        }
    }

    /// <summary>The instructions that some iterations take, once all have computed the same with them.</summary>
    private static long Instructions(int kernel, int iterations, List<(string Name, Measurement Measured)> runs)
    {
        var expected = runs[0].Measured.Output;
        if (runs.Find(run => run.Measured.Output != expected) is { Name: { } other } different)
            throw new BadInputException($"kernel {kernel}, {iterations} iterations: '{expected.Trim()}' on {runs[0].Name}, '{different.Measured.Output.Trim()}' on {other}");
        return runs.Select(run => run.Measured.Instructions).OfType<long>().Distinct().Single();
    }

    private static Measurement Run(Runner runner, int kernel, int iterations)
    {
        if (runner.Program is null) return Run(runner.Engine, kernel, iterations);
        var run = ChildProcess.Run(runner.Program, [.. runner.Arguments, Text(kernel), Text(iterations)]);
        if (run.Status != 0) throw new BadInputException($"{runner.Name}: kernel {kernel}, {iterations} iterations: status {run.Status}: {run.Errors}");
        return new(run.CpuSeconds, run.Output, null);
    }

    private static Measurement Run(TestedEngine engine, int kernel, int iterations)
    {
        var before = Environment.CpuUsage.TotalTime;
        using var machine = new SmpMachine(new() { Cpus = 1, Engine = engine.Kind, Host = engine.Host, Choices = new SeededChoices(new Seed(1)) });
        using var output = new MemoryStream();
        var end = new UserProgram(machine, ProgramImage.Open(Path.Combine(LabFolder.Root, Guest)), [Text(kernel), Text(iterations)], output, Stream.Null).Run();
        var seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        if (end.Status != 0) throw new BadInputException($"{NameOf(engine)}: kernel {kernel}, {iterations} iterations: {end.Message}");
        return new(seconds, Encoding.ASCII.GetString(output.ToArray()), machine.Cpus[0].RetiredInstructions);
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
