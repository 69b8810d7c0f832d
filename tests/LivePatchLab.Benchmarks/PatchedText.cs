using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Benchmarks;

/// <summary>What it costs the CPUs' code that text is patched under them now and then: by a protocol, and by a mere store, which has no steps of its own and no traps.</summary>
internal static class PatchedText
{
    private const int InstructionsPerPatch = 200_000, Patches = 1500, Rounds = 15;

    /// <summary>About as many as retire while text_poke_bp() patches one site.</summary>
    private const int InstructionsPerSlowPatch = 4_000_000, SlowPatches = 20, SlowRounds = 5;

    /// <summary>Rounds that are not counted: by then all code has been translated, the host's runtime has compiled ours for good, and a site's bytes have been seen to change.</summary>
    private const int WarmUpRounds = 3;

    public static Benchmark Benchmark { get; } = new(
        "patched", $"{PatchedCpus.Cpus} CPUs that call traced functions, one site patched by text_poke_bp every {InstructionsPerPatch:N0} instructions; MIPS of all together, phases of one machine in turns, median of {Rounds} rounds", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable(
            "fetch model, engine", "unpatched", "stored to", "loss in %", "patched", "its loss in %", "instructions a patch", "traps a patch", "without pause", "its loss", "its instructions", "its traps");
        foreach (var fetch in (FetchModel[])[FetchModel.Ideal, FetchModel.SdmWorst])
        {
            foreach (var engine in EngineChoice.All)
            {
                var stored = Run(engine, fetch, CostPreset.Unit, cpus => cpus.Store, Rounds, Patches, InstructionsPerPatch);
                var patched = Run(engine, fetch, CostPreset.Unit, cpus => cpus.Toggle, Rounds, Patches, InstructionsPerPatch);
                var slow = Run(engine, fetch, CostPreset.Quiet4, cpus => cpus.Toggle, SlowRounds, SlowPatches, InstructionsPerSlowPatch);
                table.Add(
                    $"{fetch.Name}, {EngineChoice.NameOf(engine)}",
                    Median(patched, round => round.Alone.Mips),
                    Median(stored, round => round.Patched.Mips),
                    Median(stored, Loss),
                    Median(patched, round => round.Patched.Mips),
                    Median(patched, Loss),
                    Median(patched, round => round.Patched.Instructions),
                    Median(patched, round => round.Patched.Traps),
                    Median(slow, round => round.Patched.Mips),
                    Median(slow, Loss),
                    Median(slow, round => round.Patched.Instructions),
                    Median(slow, round => round.Patched.Traps));
            }
        }

        table.Note("unpatched: the same machine, left alone; a loss is against the unpatched phase just before, the median of the rounds");
        table.Note("patched: the patcher's own steps, the IPIs that it sends and the traps of int3 are in the loss; every step takes one cycle, so that there is time for a patch in so few instructions");
        table.Note($"stored to: a byte of a NOP that means nothing changes instead, to one that it did not have before, and all CPUs are synchronised {PatchedCpus.StaleInstructions:N0} instructions later; this is what staleness and new translations cost");
        table.Note($"without pause: each step takes what it does under {CostPreset.Quiet4.Name}; one patch then lasts for millions of instructions, and the next begins at once");
        return table;
    }

    private static List<Round> Run(ExecutionEngine engine, FetchModel fetch, CostPreset costs, Func<PatchedCpus, Action> patching, int rounds, int patches, int instructionsPerPatch)
    {
        using var cpus = new PatchedCpus(engine, fetch, costs);
        var patch = patching(cpus);
        var measured = new List<Round>();
        for (var i = -WarmUpRounds; i < rounds; i++)
        {
            var round = new Round(cpus.Run(patches, instructionsPerPatch, patch: null), cpus.Run(patches, instructionsPerPatch, patch));
            if (i >= 0) measured.Add(round);
        }

        return measured;
    }

    /// <summary>In per cent.</summary>
    private static double Loss(Round round) => 100 * (1 - (round.Patched.Mips / round.Alone.Mips));

    private static double Median(List<Round> rounds, Func<Round, double> figure)
    {
        var sorted = rounds.Select(figure).Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }

    /// <summary>Two phases, one behind the other, so that both find the host in the same mood.</summary>
    private readonly record struct Round(PatchedPhase Alone, PatchedPhase Patched);
}
