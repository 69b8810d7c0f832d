using System.Security.Cryptography;
using Xunit.Abstractions;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The processor that the tests run on is the oracle: random instances of every instruction code that programs may execute must leave the same
/// registers, flags, data and stack there and here. Flags that the SDM leaves undefined are not compared.
/// </summary>
public class HostDifferentialTests(ITestOutputHelper output)
{
    private const int CasesPerSeed = 4500;

    /// <summary>Fixed ones, and two that are new in each run.</summary>
    public static TheoryData<ulong> Seeds => [.. OracleSeeds.Fixed(10), .. OracleSeeds.Fresh(2)];

    [HostTheory]
    [MemberData(nameof(Seeds))]
    public void Random_instructions_do_what_the_host_processor_does(ulong seed)
    {
        var count = (int)(CasesPerSeed * OracleSeeds.Scale);
        using var oracle = new Oracle();
        var draw = new Draw(seed);
        var codes = ClaimedCodes.Comparable;
        var next = draw.Below(codes.Count);
        var difference = oracle.Run(count, slot => ClaimedCodes.Instance(codes[next++ % codes.Count], draw, slot),
            () => draw.Of(ExecutionForms.Fast, ExecutionForms.Precise, ExecutionForms.Single));
        difference.ShouldBeNull($"seed {seed}: {difference}");
        oracle.Cases.ShouldBe(count);
        output.WriteLine($"seed {seed}: {oracle.Cases} cases of {oracle.Covered.Count} codes, {oracle.DivideErrors} divide errors");
        foreach (var (code, refusal) in oracle.Refused) output.WriteLine($"this processor refuses {code} ({refusal}): {PermittedRefusals.ReasonFor(code)}");
        if (count >= codes.Count) codes.Except(oracle.Covered).ShouldBeEmpty();
    }

    [HostFact]
    public void Every_code_that_programs_may_execute_is_compared_or_has_a_reason_why_not()
    {
        foreach (var group in ClaimedCodes.All.GroupBy(ClaimedCodes.WhyNot).OrderBy(group => group.Key))
            output.WriteLine($"{group.Count()} {group.Key ?? "compared"}: {(group.Key is null ? "" : string.Join(' ', group))}");
        ClaimedCodes.Comparable.Count.ShouldBeGreaterThan(600);
    }
}

/// <summary>The seeds of a run: LIVEPATCH_LONG, where it is set, is by how much the run is longer than the common one.</summary>
internal static class OracleSeeds
{
    public static double Scale { get; } = double.TryParse(Environment.GetEnvironmentVariable("LIVEPATCH_LONG"), System.Globalization.CultureInfo.InvariantCulture, out var scale) ? scale : 1;

    public static IEnumerable<ulong> Fixed(int count) => Enumerable.Range(1, count).Select(i => (ulong)i);

    /// <summary>New in each run; the names of the tests say them.</summary>
    public static IEnumerable<ulong> Fresh(int count) => Enumerable.Range(0, count).Select(_ => (ulong)(uint)RandomNumberGenerator.GetInt32(1000, int.MaxValue));
}
