using System.Globalization;
using System.Text.Json.Nodes;
using LivePatchLab.Benchmarks;
using LivePatchLab.Linux;

var names = args.Where(a => a != "--json").ToList();
var cyclesAt = names.IndexOf("--cycles");
if (names.Contains("--help"))
{
    Console.WriteLine("dotnet run -c Release --project tests/LivePatchLab.Benchmarks [-- [--json] [--cycles N] [--kernel NAME] NAME...]\n");
    foreach (var benchmark in Benchmark.All) Console.WriteLine($"{benchmark.Name,-10} {benchmark.Question}");
    Console.WriteLine($"\n{LockStepFuzzing.Usage}\n           compares the engines with each other on random programs, patched text and guests; ends with 1 at the first difference");
    return 0;
}

try
{
    if (names.FirstOrDefault() == LockStepFuzzing.Name) return LockStepFuzzing.Run(names[1..]);
    if (cyclesAt >= 0)
    {
        if (cyclesAt + 1 >= names.Count || !int.TryParse(names[cyclesAt + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var cycles) || cycles < 1)
            throw new BadInputException("--cycles takes a number from 1: how often 'tracers' goes through its seven");
        TracerCycles.Cycles = cycles;
        names.RemoveRange(cyclesAt, 2);
    }

    if (names.IndexOf("--kernel") is >= 0 and var kernelAt)
    {
        if (kernelAt + 1 >= names.Count) throw new BadInputException($"--kernel takes one of those that 'guests' measures: {string.Join(", ", GuestSpeed.Kernels)}");
        GuestSpeed.Only = Suggestion.Find(GuestSpeed.Kernels, kernel => kernel, names[kernelAt + 1], "kernel");
        names.RemoveRange(kernelAt, 2);
    }

    var chosen = names.Count == 0 ? Benchmark.All : [.. names.Select(name => Suggestion.Find(Benchmark.All, b => b.Name, name, "benchmark"))];
    var results = new JsonObject { ["processor"] = ProcessorName.Here };
    foreach (var benchmark in chosen)
    {
        var result = benchmark.Measure();
        results[benchmark.Name] = result.ToJson();
        if (!args.Contains("--json")) Console.WriteLine($"{benchmark.Name}: {benchmark.Question}\non {ProcessorName.Here}\n{result}\n");
    }

    if (args.Contains("--json")) Console.WriteLine(results.ToJsonString());
    return 0;
}
catch (BadInputException e)
{
    Console.Error.WriteLine("benchmarks: " + e.Message);
    return 2;
}
