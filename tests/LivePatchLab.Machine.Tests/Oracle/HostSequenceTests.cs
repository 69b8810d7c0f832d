using Xunit.Abstractions;

namespace LivePatchLab.Machine.Tests;

/// <summary>Sequences of 5 to 20 instructions with jumps forward, on the host and in each of the machine's three forms.</summary>
public class HostSequenceTests(ITestOutputHelper output)
{
    private const int CasesPerSeed = 1500;

    public static TheoryData<ulong> Seeds => [.. OracleSeeds.Fixed(5), .. OracleSeeds.Fresh(1)];

    [HostTheory]
    [MemberData(nameof(Seeds))]
    public void Random_sequences_do_in_all_forms_what_the_host_processor_does(ulong seed)
    {
        var count = (int)(CasesPerSeed * OracleSeeds.Scale);
        using var oracle = new Oracle();
        var draw = new Draw(seed);
        var sequences = new SequenceDraw(draw);
        oracle.Run(count, sequences.Make, () => ExecutionForms.All).ShouldBeNull($"seed {seed}");
        oracle.Cases.ShouldBe(count);
        oracle.DivideErrors.ShouldBe(0);
        output.WriteLine($"seed {seed}: {oracle.Cases} sequences of {oracle.Covered.Count} codes");
        oracle.Covered.Count.ShouldBeGreaterThan(400);
    }

    /// <summary>The control: an oracle that cannot tell a wrong machine from a right one proves nothing.</summary>
    [HostFact]
    public void A_result_that_is_wrong_on_purpose_is_found()
    {
        using var oracle = new Oracle();
        var draw = new Draw(1);
        var sequences = new SequenceDraw(draw);
        foreach (var spoil in (Action<MachineOutcome>[])[o => o.Spoil(register: Gpr.Rbx), o => o.Spoil(flags: LazyFlags.Sign), o => o.Spoil(data: 300), o => o.Spoil(stack: 1000)])
        {
            oracle.BeforeComparison = spoil;
            oracle.Run(1, slot =>
            {
                var made = sequences.Make(slot);
                made.Undefined = Iced.Intel.RflagsBits.None;
                made.Bytes.Clear();
                return made;
            }, () => ExecutionForms.Fast).ShouldNotBeNull();
        }
    }
}
