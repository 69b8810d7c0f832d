using System.Diagnostics;
using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Benchmarks;

/// <summary>What it costs to let CPUs take turns often.</summary>
internal static class QuantumSweep
{
    private static readonly string Guest = LabFolder.Guest("sites");

    public static Benchmark Benchmark { get; } = new("quantum", "guest 'sites' on every CPU, MIPS of all together, by how far a CPU may run ahead (cycles, one an instruction); two lengths, the difference taken", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("quantum max", "1 CPU", "2 CPUs", "16 CPUs", "64 CPUs");
        foreach (var quantum in (int[])[1, 10, 100, 1000])
            table.Add($"{quantum}", [.. ((int[])[1, 2, 16, 64]).Select(cpus => (double?)Mips(cpus, quantum))]);
        table.Note("each turn's length is drawn from 1 to the quantum, so it is half of it on average; a lone CPU has nobody to wait for, whatever the quantum");
        return table;
    }

    private static double Mips(int cpus, int quantum)
    {
        // As many instructions for one CPU as for 64.
        var rounds = (quantum == 1 ? 8_000 : 64_000) / cpus;
        Run(cpus, quantum, rounds / 8);
        var best = 0.0;
        for (var i = 0; i < 3; i++)
        {
            var (fewer, less) = Run(cpus, quantum, rounds / 8);
            var (instructions, seconds) = Run(cpus, quantum, rounds);
            best = Math.Max(best, (instructions - fewer) / (seconds - less) / 1e6);
        }

        return best;
    }

    private static (long Instructions, double Seconds) Run(int cpus, int quantum, int rounds)
    {
        using var machine = new SmpMachine(new() { Cpus = cpus, QuantumCyclesMax = quantum, Choices = new SeededChoices(new Seed(1)) });
        using var output = new MemoryStream();
        var guest = new UserProgram(machine, ProgramImage.Open(Guest), [rounds.ToString(CultureInfo.InvariantCulture)], output, Stream.Null);
        var started = Stopwatch.GetTimestamp();
        var end = guest.Run();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (end.Status != 0 || output.Length == 0) throw new InvalidOperationException($"the guest ended with {end.Status}: {end.Message}");
        return (machine.Cpus.Sum(c => c.RetiredInstructions), seconds);
    }
}
