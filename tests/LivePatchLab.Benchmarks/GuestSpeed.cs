using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Benchmarks;

/// <summary>The nine kernels of data/guests/kernels on the bare processor, on qemu-x86_64 and on the lab's engines, one process each, side by side.</summary>
internal static class GuestSpeed
{
    /// <summary>About half a second of the interpreter's time, and of that of those who are several times faster.</summary>
    private const double InstructionsInterpreted = 400e6, InstructionsNative = 3e9;

    private const int Repetitions = 2;

    private static readonly string[] Kernels = ["crc32", "sieve", "list", "matrix", "states", "sha256", "quicksort", "kernel", "fib"];
    private static readonly string Guest = Path.Combine("data", "guests", "kernels");
    private static readonly string Livepatch = Path.Combine(AppContext.BaseDirectory, "livepatch");

    /// <summary>Who runs the guest.</summary>
    private sealed record Runner(string Name, string Program, string[] Arguments, double Instructions);

    /// <summary>A number of iterations, with what it computes and how many instructions it takes.</summary>
    private sealed record Work(int Iterations, long Instructions, string Output);

    public static Benchmark Benchmark { get; } = new(
        "guests", $"guest MIPS; processor time of two iteration counts, the difference taken, so start-up and translation of the first round are out; best of {Repetitions}, interleaved", Measure);

    private static ResultTable Measure()
    {
        var runners = Runners().ToList();
        string[] ours = [.. EngineChoice.All.Where(engine => engine != ExecutionEngine.Auto).Select(EngineChoice.NameOf)];
        string[] others = [.. runners.Select(runner => runner.Name).Except(ours)];
        (string Mine, string Other)[] ratios = [.. from mine in ours from other in others select (mine, other)];
        var table = new ResultTable(["kernel", .. runners.Select(runner => runner.Name), .. ratios.Select(ratio => $"{ratio.Mine} / {ratio.Other}")]);
        for (var kernel = 0; kernel < Kernels.Length; kernel++)
        {
            var mips = Mips(kernel, runners);
            table.Add(Kernels[kernel], [.. runners.Select(runner => mips[runner.Name]), .. ratios.Select(ratio => mips[ratio.Mine] / mips[ratio.Other])]);
        }

        table.AddGeometricMeanAndMinimum();
        table.Note($"some {InstructionsNative / 1e6:N0} M instructions a run, for the interpreter {InstructionsInterpreted / 1e6:N0} M");
        if (ChildProcess.Find("qemu-x86_64") is null) table.Note("no qemu-x86_64 here: apt-get install qemu-user");
        return table;
    }

    private static IEnumerable<Runner> Runners()
    {
        if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64) yield return new("hardware", Path.Combine(LabFolder.Root, Guest), [], InstructionsNative);
        if (ChildProcess.Find("qemu-x86_64") is { } qemu) yield return new("qemu", qemu, [Guest], InstructionsNative);
        foreach (var engine in EngineChoice.All.Where(engine => engine != ExecutionEngine.Auto))
        {
            var name = EngineChoice.NameOf(engine);
            yield return new(name, Livepatch, ["run", "--engine", name, Guest], engine == ExecutionEngine.Interpreter ? InstructionsInterpreted : InstructionsNative);
        }
    }

    private static Dictionary<string, double?> Mips(int kernel, List<Runner> runners)
    {
        var perIteration = (Count(kernel, 12).Instructions - Count(kernel, 2).Instructions) / 10.0;
        var works = runners.Select(runner => runner.Instructions).Distinct().ToDictionary(wanted => wanted, wanted =>
        {
            var many = Math.Max(4, (int)(wanted / perIteration));
            return (Few: Count(kernel, Math.Max(1, many / 8)), Many: Count(kernel, many));
        });

        // Interleaved, so that a neighbour's burst does not hit one alone.
        var best = runners.ToDictionary(runner => runner.Name, _ => double.MaxValue);
        for (var repetition = 0; repetition < Repetitions; repetition++)
        {
            foreach (var runner in runners)
            {
                var (few, many) = works[runner.Instructions];
                var seconds = Seconds(runner, kernel, many) - Seconds(runner, kernel, few);
                if (seconds > 0) best[runner.Name] = Math.Min(best[runner.Name], seconds);
            }
        }

        return runners.ToDictionary(runner => runner.Name, runner =>
        {
            var (few, many) = works[runner.Instructions];
            return best[runner.Name] < double.MaxValue ? (many.Instructions - few.Instructions) / best[runner.Name] / 1e6 : (double?)null;
        });
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
        var run = ChildProcess.Run(runner.Program, [.. runner.Arguments, Text(kernel), Text(work.Iterations)]);
        if (run.Status != 0 || run.Output != work.Output)
            throw new BadInputException($"{runner.Name}: kernel {kernel}, {work.Iterations} iterations: status {run.Status}, '{run.Output.Trim()}', not '{work.Output.Trim()}'");
        return run.CpuSeconds;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
