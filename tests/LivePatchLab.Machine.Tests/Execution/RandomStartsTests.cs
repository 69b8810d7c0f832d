using Xunit.Abstractions;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Whatever bytes CPUs execute, wherever and with whatever registers: no .NET exception, no fault of the host, no write where none is
/// allowed, and the same again from the same seed, by every engine. LIVEPATCH_LONG=1 makes a million starts instead of 50,000.
/// </summary>
public sealed class RandomStartsTests(ITestOutputHelper output)
{
    private const string LongVariable = "LIVEPATCH_LONG";

    private const int Batches = 20, StartsPerSeed = 250;

    private static readonly int SeedsPerBatch = Environment.GetEnvironmentVariable(LongVariable) is { Length: > 0 } ? 200 : 10;

    /// <summary>The last is of fresh seeds; the test's output has the first of them.</summary>
    public static TheoryData<int> BatchNumbers => [.. Enumerable.Range(0, Batches)];

    [Theory]
    [MemberData(nameof(BatchNumbers))]
    public void Random_bytes_run_fault_or_halt_on_any_machine_and_the_same_way_again(int batch)
    {
        var first = batch < Batches - 1 ? (ulong)(1 + (batch * 1000)) : (ulong)Random.Shared.NextInt64();
        output.WriteLine($"seeds from {first}");
        long instructions = 0;
        var faults = 0;
        for (var i = 0; i < SeedsPerBatch; i++)
        {
            var seed = first + (ulong)i;
            var ended = Ends(seed);
            instructions += ended.Instructions;
            faults += ended.Faults;
            if (i % 5 > 0) continue;
            foreach (var engine in Engines.On(i % 2 == 0 ? OtherHosts.Own : OtherHosts.Differing)) Ends(seed, engine).ShouldBe(ended, $"seed {seed}, {engine}");
        }

        // So that this is no test of machines that do nothing.
        instructions.ShouldBeGreaterThan(20 * SeedsPerBatch * StartsPerSeed);
        output.WriteLine($"{SeedsPerBatch * StartsPerSeed} starts, {instructions} instructions, {faults} unconsumed faults");
    }

    /// <summary>The control of the comparison: another seed ends otherwise.</summary>
    [Fact]
    public void Another_seed_ends_otherwise() => Ends(2).Hash.ShouldNotBe(Ends(1).Hash);

    private static (StateHash Hash, long Instructions, int Faults) Ends(ulong seed, TestedEngine? engine = null)
    {
        using var starts = new RandomStarts(seed, engine ?? ExecutionEngine.Interpreter);
        try
        {
            starts.Run(StartsPerSeed);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed}, {engine}: {e.Message}", e);
        }

        return (starts.Hash, starts.Instructions, starts.Faults);
    }
}
