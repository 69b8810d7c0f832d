using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;

namespace LivePatchLab.Benchmarks;

/// <summary>The nine kernels of data/guests/kernels on the lab, on qemu-x86_64, and on the bare processor, one process each, side by side.</summary>
internal static class GuestSpeed
{
    /// <summary>About half a second of the interpreter's time.</summary>
    private const double InstructionsWanted = 400e6;

    private const int Repetitions = 3;

    private static readonly string[] Kernels = ["crc32", "sieve", "list", "matrix", "states", "sha256", "quicksort", "kernel", "fib"];
    private static readonly string Guest = Path.Combine("data", "guests", "kernels");
    private static readonly string Livepatch = Path.Combine(AppContext.BaseDirectory, "livepatch");

    public static Benchmark Benchmark { get; } = new(
        "guests", "guest MIPS; processor time of two iteration counts, the difference taken, so start-up and translation of the first round are out; best of three", Measure);

    private static ResultTable Measure()
    {
        string[] engines = [.. ((string[])["interpreter", "translator"]).Where(engine => ChildProcess.Run(Livepatch, "run", "--engine", engine, Guest, "8", "1").Status == 0)];
        var qemu = ChildProcess.Find("qemu-x86_64");
        var isBare = OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;
        var table = new ResultTable(["kernel", "M instructions", .. engines, "qemu", "bare", .. engines.SelectMany(e => (string[])[$"{e} / qemu", $"{e} / bare"])]);
        for (var kernel = 0; kernel < Kernels.Length; kernel++)
        {
            var perIteration = (Count(kernel, 12).Instructions - Count(kernel, 2).Instructions) / 10.0;
            var many = Math.Max(4, (int)(InstructionsWanted / perIteration));
            var few = Math.Max(1, many / 8);
            var (fewer, more) = (Count(kernel, few), Count(kernel, many));
            var instructions = (double)(more.Instructions - fewer.Instructions);

            // Interleaved, so that a neighbour's burst does not hit one alone.
            List<(string Program, string[] Arguments)> runners = [.. engines.Select(e => (Livepatch, (string[])["run", "--engine", e, Guest]))];
            if (qemu is not null) runners.Add((qemu, [Guest]));
            if (isBare) runners.Add((Path.Combine(LabFolder.Root, Guest), []));
            var best = Enumerable.Repeat(double.MaxValue, runners.Count).ToArray();
            for (var repetition = 0; repetition < Repetitions; repetition++)
            {
                for (var i = 0; i < runners.Count; i++)
                {
                    var seconds = Seconds(runners[i], kernel, many, more.Output) - Seconds(runners[i], kernel, few, fewer.Output);
                    if (seconds > 0) best[i] = Math.Min(best[i], seconds);
                }
            }

            double?[] mips = [.. best.Select(seconds => seconds < double.MaxValue ? instructions / seconds / 1e6 : (double?)null)];
            double?[] ours = mips[..engines.Length];
            var qemuMips = qemu is null ? null : mips[engines.Length];
            var bareMips = isBare ? mips[^1] : null;
            table.Add(Kernels[kernel], [instructions / 1e6, .. ours, qemuMips, bareMips, .. ours.SelectMany(mine => (double?[])[mine / qemuMips, mine / bareMips])]);
        }

        table.AddGeometricMean();
        if (qemu is null) table.Note("no qemu-x86_64 here: apt-get install qemu-user");
        return table;
    }

    private static (long Instructions, string Output) Count(int kernel, int iterations)
    {
        var run = ChildProcess.Run(Livepatch, "run", "--stats", Guest, Text(kernel), Text(iterations));
        if (run.Status != 0) throw new BadInputException($"kernel {kernel} ended with {run.Status}: {run.Errors}");
        return (JsonNode.Parse(run.Errors)!["instructions"]!.GetValue<long>(), run.Output);
    }

    /// <summary>Processor time of one run; a run that computes something else is no measurement.</summary>
    private static double Seconds((string Program, string[] Arguments) runner, int kernel, int iterations, string expected)
    {
        var run = ChildProcess.Run(runner.Program, [.. runner.Arguments, Text(kernel), Text(iterations)]);
        if (run.Status != 0 || run.Output != expected)
            throw new BadInputException($"{runner.Program}: kernel {kernel}, {iterations} iterations: status {run.Status}, '{run.Output.Trim()}', not '{expected.Trim()}'");
        return run.CpuSeconds;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
