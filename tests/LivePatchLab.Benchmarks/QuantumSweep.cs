using System.Diagnostics;
using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Benchmarks;

/// <summary>What it costs to let CPUs take turns often.</summary>
internal static class QuantumSweep
{
    private const int Repetitions = 3;

    /// <summary>What all CPUs together execute in one measurement, by how long a turn is: some tenths of a second of the slowest.</summary>
    private const long InstructionsOfShortTurns = 20_000_000, InstructionsOfLongTurns = 200_000_000;

    private static readonly string Guest = LabFolder.Guest("sites");
    private static readonly int[] Quanta = [1, 10, 100, 1_000, 10_000];
    private static readonly int[] Many = [64, 1024];
    private static readonly int[] Counts = [1, .. Many];

    public static Benchmark Benchmark { get; } = new(
        "quantum", $"guest 'sites' on every CPU, MIPS of all together, by engine and by how far a CPU may run ahead (cycles, one an instruction); two lengths, the difference taken, best of {Repetitions}", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable(["engine, CPUs", .. Quanta.Select(quantum => $"q = {quantum}")]);
        foreach (var engine in EngineChoice.All)
        {
            var name = EngineChoice.NameOf(engine);
            var mips = Counts.ToDictionary(cpus => cpus, cpus => Quanta.Select(quantum => Mips(engine, cpus, quantum)).ToArray());
            foreach (var cpus in Counts) table.Add($"{name}, {cpus}", [.. mips[cpus].Select(value => (double?)value)]);
            foreach (var cpus in Many) table.Add($"{name}, {cpus} / 1", [.. mips[cpus].Zip(mips[1], (many, one) => (double?)(many / one))]);
            var drawn = Many.ToDictionary(cpus => cpus, cpus => Quanta.Select(quantum => Mips(engine, cpus, (2 * quantum) - 1)).ToArray());
            foreach (var cpus in Many) table.Add($"{name}, {cpus} / 1, drawn to 2q - 1", [.. drawn[cpus].Zip(mips[1], (many, one) => (double?)(many / one))]);
            var stopped = Quanta.Select(quantum => Mips(engine, 1, quantum, loneTurnCycles: quantum)).ToArray();
            table.Add($"{name}, 1 stopped every q", [.. stopped.Select(value => (double?)value)]);
            foreach (var cpus in Many) table.Add($"{name}, {cpus} drawn to 2q - 1 / 1 stopped", [.. drawn[cpus].Zip(stopped, (many, one) => (double?)(many / one))]);
        }

        foreach (var cpus in Many) table.Add($"instructions a turn, {cpus}", [.. Quanta.Select(quantum => (double?)MeanTurn(cpus, quantum))]);
        foreach (var cpus in Many) table.Add($"instructions a turn, {cpus}, drawn to 2q - 1", [.. Quanta.Select(quantum => (double?)MeanTurn(cpus, (2 * quantum) - 1))]);
        table.Note("how far a CPU may run ahead of the next is drawn from 1 to the quantum for each turn, so it is half of it on average; drawn to 2q - 1 it is q on average");
        table.Note("a lone CPU has nobody to wait for, whatever the quantum, and is never stopped, but for the rows in which it is, every q instructions: between the two lies what it costs to be stopped, and between the latter and many that draw to 2q - 1 what their number costs");
        return table;
    }

    private static double Mips(ExecutionEngine engine, int cpus, int quantum, long? loneTurnCycles = null)
    {
        // As many instructions for one CPU as for a thousand.
        var (perRound, _) = Run(engine, 1, 1000, 100);
        var rounds = (int)Math.Max(8, (quantum < 100 ? InstructionsOfShortTurns : InstructionsOfLongTurns) * 100 / perRound / cpus);
        Run(engine, cpus, quantum, rounds / 8, loneTurnCycles);
        var best = 0.0;
        for (var i = 0; i < Repetitions; i++)
        {
            var (fewer, less) = Run(engine, cpus, quantum, rounds / 8, loneTurnCycles);
            var (instructions, seconds) = Run(engine, cpus, quantum, rounds, loneTurnCycles);
            best = Math.Max(best, (instructions - fewer) / (seconds - less) / 1e6);
        }

        return best;
    }

    private static (long Instructions, double Seconds) Run(ExecutionEngine engine, int cpus, int quantum, int rounds, long? loneTurnCycles = null)
        => Run(new() { Cpus = cpus, QuantumCyclesMax = quantum, Choices = new SeededChoices(new Seed(1)), Engine = engine }, rounds, loneTurnCycles);

    /// <summary>What CPUs retire from one draw of a quantum to the next. With a quantum of 1 there is nothing to draw, and a turn is one instruction.</summary>
    private static double MeanTurn(int cpus, int quantum)
    {
        if (quantum == 1) return 1;
        var choices = new CountedChoices(new SeededChoices(new Seed(1)));
        var (instructions, _) = Run(new() { Cpus = cpus, QuantumCyclesMax = quantum, Choices = choices, Engine = EngineChoice.All[^1] }, 8, null);
        return (double)instructions / choices.Quanta;
    }

    private static (long Instructions, double Seconds) Run(MachineOptions options, int rounds, long? loneTurnCycles)
    {
        using var machine = new SmpMachine(loneTurnCycles is { } cycles ? options with { LoneTurnCycles = cycles } : options);
        using var output = new MemoryStream();
        var guest = new UserProgram(machine, ProgramImage.Open(Guest), [rounds.ToString(CultureInfo.InvariantCulture)], output, Stream.Null);
        var started = Stopwatch.GetTimestamp();
        var end = guest.Run();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (end.Status != 0 || output.Length == 0) throw new InvalidOperationException($"the guest ended with {end.Status}: {end.Message}");
        return (machine.Cpus.Sum(c => c.RetiredInstructions), seconds);
    }

    private sealed class CountedChoices(IChoiceSource choices) : IChoiceSource
    {
        public long Quanta { get; private set; }

        public int Choose(ChoicePoint point, int alternatives)
        {
            if (point == ChoicePoint.Quantum) Quanta++;
            return choices.Choose(point, alternatives);
        }
    }
}
