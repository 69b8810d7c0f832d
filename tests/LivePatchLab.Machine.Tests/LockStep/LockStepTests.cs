using Xunit.Abstractions;

namespace LivePatchLab.Machine.Tests;

/// <summary>The interpreter, the translator and what is taken by default do the same, bit for bit, whatever is executed and wherever a quantum ends.</summary>
public sealed class LockStepTests(ITestOutputHelper output)
{
    /// <summary>All of them together take half a minute; the long form is the benchmark project's.</summary>
    private const int SeedsOfStreams = 48, SeedsOfFlagStreams = 160, SeedsOfPatchedStreams = 40, SeedsOfInterruptedStreams = 32, SeedsOfPatchedText = 16, SeedsOfGuests = 12, SeedsOfRandomBytes = 24;

    /// <summary>Enough for loops of thousands of iterations to become hot, few enough that most of the time is not spent in one program.</summary>
    private const long InstructionsPerSeed = 400_000;

    /// <summary>What runs there are large programs in small loops: it takes longer to come everywhere, and less time.</summary>
    private const long InstructionsPerLargeSeed = 2_000_000;

    /// <summary>A loop shows what it has to show in some thousand rounds; a new one is worth more.</summary>
    private const long InstructionsPerSmallSeed = 60_000;

    private const int Batches = 4;

    /// <summary>Each batch on the host as it is, and on one that leaves all undefined flags otherwise; one on a host that lacks what can be done without.</summary>
    public static TheoryData<string, int> Runs
    {
        get
        {
            var runs = new TheoryData<string, int> { { OtherHosts.Older, 0 } };
            for (var batch = 0; batch < Batches; batch++)
            {
                runs.Add(OtherHosts.Own, batch);
                runs.Add(OtherHosts.Differing, batch);
            }

            return runs;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Random_programs_run_alike_in_all_engines(string host, int batch) => RunBatch(LockStepSources.Streams, host, batch, SeedsOfStreams);

    [Theory]
    [MemberData(nameof(Runs))]
    public void Loops_of_flags_that_are_undefined_run_alike_on_every_host(string host, int batch) => RunBatch(LockStepSources.FlagStreams, host, batch, SeedsOfFlagStreams, InstructionsPerSmallSeed);

    [Theory]
    [MemberData(nameof(Runs))]
    public void Random_programs_that_are_patched_run_alike_under_every_fetch_model(string host, int batch) => RunBatch(LockStepSources.PatchedStreams, host, batch, SeedsOfPatchedStreams);

    [Theory]
    [MemberData(nameof(Runs))]
    public void Random_programs_into_which_IPIs_come_run_alike_whoever_looks_on(string host, int batch) => RunBatch(LockStepSources.InterruptedStreams, host, batch, SeedsOfInterruptedStreams);

    [Theory]
    [MemberData(nameof(Runs))]
    public void Traced_functions_run_alike_while_protocols_patch_them(string host, int batch) => RunBatch(LockStepSources.PatchedText, host, batch, SeedsOfPatchedText);

    [Theory]
    [MemberData(nameof(Runs))]
    public void Guests_run_alike_in_all_engines(string host, int batch) => RunBatch(LockStepSources.Guests, host, batch, SeedsOfGuests);

    [Theory]
    [MemberData(nameof(Runs))]
    public void Random_bytes_run_alike_in_all_engines(string host, int batch) => RunBatch(LockStepSources.RandomBytes, host, batch, SeedsOfRandomBytes);

    /// <summary>Seeds that have shown a difference once, or have not ended.</summary>
    [Theory]
    [InlineData("patched-text", 6474392092237743276)]
    [InlineData("patched-streams", 5)]
    [InlineData("patched-streams", 5946325217095483610)]
    [InlineData("patched-streams", 8236050027318009611)]
    [InlineData("patched-streams", 2001)]
    [InlineData("patched-streams", 7006)]
    [InlineData("patched-streams", 9001)]
    [InlineData("patched-streams", 1000085)]
    [InlineData("patched-streams", 7000145)]
    [InlineData("patched-streams", 41000006)]
    [InlineData("streams", 8000025)]
    [InlineData("flag-streams", 353)]
    [InlineData("interrupted-streams", 92000035)]
    [InlineData("random-bytes", 6)]
    [InlineData("random-bytes", 8000025)]
    [InlineData("random-bytes", 2837178119783004840)]
    public void A_seed_that_was_kept_runs_alike(string source, ulong seed)
    {
        foreach (var host in (string[])[OtherHosts.Own, OtherHosts.Differing])
        {
            using var run = new LockStepRun(LockStepSources.All.First(s => s.Name == source), seed, Engines.On(host));
            run.Run(InstructionsPerLargeSeed).ShouldBeNull();
        }
    }

    /// <summary>The last batch is of fresh seeds; its output says which.</summary>
    private void RunBatch(LockStepSource source, string host, int batch, int seeds, long? instructionsPerSeed = null)
    {
        var first = batch < Batches - 1 ? (ulong)(1 + (batch * 1000)) : (ulong)Random.Shared.NextInt64();
        var (instructions, native, traps, quanta) = (0L, 0L, 0L, 0);
        for (var i = 0; i < seeds / Batches; i++)
        {
            using var run = new LockStepRun(source, first + (ulong)i, Engines.On(host));
            run.Run(instructionsPerSeed ?? (source.IsLarge ? InstructionsPerLargeSeed : InstructionsPerSeed)).ShouldBeNull();
            instructions += run.Instructions;
            native += run.NativeInstructions;
            traps += run.Traps;
            quanta += run.Quanta;
        }

        output.WriteLine($"seeds from {first}: {instructions} instructions, {native} of them native, {traps} traps, {quanta} quanta");

        // So that this is no comparison of machines that do nothing, or of the interpreter with itself.
        instructions.ShouldBeGreaterThan(seeds / Batches * 2000);
        if (Engines.Here.Contains(ExecutionEngine.Translator) && source != LockStepSources.RandomBytes) native.ShouldBeGreaterThan(instructions / 10);
    }
}
