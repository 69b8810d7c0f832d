using System.Text.Json.Nodes;
using LivePatchLab.Benchmarks;
using LivePatchLab.Linux;

var names = args.Where(a => a != "--json").ToList();
if (names.Contains("--help"))
{
    Console.WriteLine("dotnet run -c Release --project tests/LivePatchLab.Benchmarks [-- [--json] NAME...]\n");
    foreach (var benchmark in Benchmark.All) Console.WriteLine($"{benchmark.Name,-10} {benchmark.Question}");
    return 0;
}

try
{
    var chosen = names.Count == 0 ? Benchmark.All : [.. names.Select(name => Suggestion.Find(Benchmark.All, b => b.Name, name, "benchmark"))];
    var results = new JsonObject();
    foreach (var benchmark in chosen)
    {
        var result = benchmark.Measure();
        results[benchmark.Name] = result.ToJson();
        if (!args.Contains("--json")) Console.WriteLine($"{benchmark.Name}: {benchmark.Question}\n{result}\n");
    }

    if (args.Contains("--json")) Console.WriteLine(results.ToJsonString());
    return 0;
}
catch (BadInputException e)
{
    Console.Error.WriteLine("benchmarks: " + e.Message);
    return 2;
}
