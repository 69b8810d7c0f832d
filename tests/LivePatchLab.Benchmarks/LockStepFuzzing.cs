using System.Diagnostics;
using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine.Tests;

namespace LivePatchLab.Benchmarks;

/// <summary>The engines in lock step for as long as one likes: no measurement, but it takes as long as one.</summary>
internal static class LockStepFuzzing
{
    public const string Name = "lockstep";

    public const string Usage = "lockstep [--instructions 1e9] [--seed 1] [--source NAME] [--scenes N] [--host own|differing|repairing|older]";

    private const long InstructionsPerSmallScene = 60_000, InstructionsPerScene = 1_000_000, InstructionsPerLargeScene = 5_000_000;

    private static readonly TimeSpan BetweenReports = TimeSpan.FromSeconds(20);

    /// <summary>The share of all instructions that each kind of scene gets.</summary>
    private static readonly Dictionary<LockStepSource, double> Mix = new()
    {
        [LockStepSources.Streams] = 0.25,
        [LockStepSources.FlagStreams] = 0.05,
        [LockStepSources.PatchedStreams] = 0.25,
        [LockStepSources.InterruptedStreams] = 0.1,
        [LockStepSources.PatchedText] = 0.2,
        [LockStepSources.Guests] = 0.14,
        [LockStepSources.RandomBytes] = 0.01,
    };

    /// <summary>0 when no difference was found, 1 where one was; it is on stdout then.</summary>
    /// <exception cref="BadInputException">The arguments make no sense.</exception>
    public static int Run(IReadOnlyList<string> arguments)
    {
        var (instructions, seed, scenes, sources, host) = (1_000_000_000L, 1UL, int.MaxValue, LockStepSources.All, OtherHosts.Own);
        for (var i = 0; i < arguments.Count; i += 2)
        {
            var value = i + 1 < arguments.Count ? arguments[i + 1] : throw new BadInputException($"{arguments[i]}: its value is missing; {Usage}");
            switch (arguments[i])
            {
                case "--instructions": instructions = (long)Number(value); break;
                case "--scenes": scenes = (int)Number(value); break;
                case "--seed": seed = ulong.TryParse(value, CultureInfo.InvariantCulture, out var parsed) ? parsed : throw new BadInputException($"--seed {value}: give a number"); break;
                case "--source": sources = [Suggestion.Find(LockStepSources.All, source => source.Name, value, "source")]; break;
                case "--host": host = Suggestion.Find([.. OtherHosts.All.Keys], name => name, value, "host"); break;
                default: throw new BadInputException($"{arguments[i]}: there is no such option; {Usage}");
            }
        }

        var engines = Engines.On(host);
        Console.WriteLine($"engines: {string.Join(", ", engines)}; seeds from {seed}");
        var tallies = sources.Select(source => new Tally(source)).ToList();
        var difference = Fuzz(tallies, engines, instructions, seed, scenes);
        foreach (var tally in tallies) Console.WriteLine(tally);
        Console.WriteLine(difference ?? $"{tallies.Sum(t => t.Instructions):N0} instructions of each engine, {tallies.Sum(t => t.Scenes):N0} scenes, {tallies.Sum(t => t.Quanta):N0} quanta: no difference");
        return difference is null ? 0 : 1;
    }

    private static string? Fuzz(List<Tally> tallies, IReadOnlyList<TestedEngine> engines, long instructions, ulong seed, int scenes)
    {
        var reported = Stopwatch.GetTimestamp();
        for (; scenes > 0 && tallies.Sum(t => t.Instructions) < instructions; scenes--)
        {
            var tally = tallies.MinBy(t => t.Instructions / Mix[t.Source])!;
            using var run = new LockStepRun(tally.Source, seed + (ulong)tally.Scenes, engines);
            if (run.Run(tally.Source.IsLarge ? InstructionsPerLargeScene : tally.Source == LockStepSources.FlagStreams ? InstructionsPerSmallScene : InstructionsPerScene) is { } difference) return difference;
            tally.Add(run);
            if (Stopwatch.GetElapsedTime(reported) < BetweenReports) continue;
            reported = Stopwatch.GetTimestamp();
            Console.Error.WriteLine($"{tallies.Sum(t => t.Instructions):N0} instructions");
        }

        return null;
    }

    private static double Number(string text)
        => double.TryParse(text, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 1e15 ? number : throw new BadInputException($"{text}: give a number from 1 on, such as 1e9");

    private sealed class Tally(LockStepSource source)
    {
        public LockStepSource Source => source;

        public long Instructions { get; private set; }

        public long Quanta { get; private set; }

        public int Scenes { get; private set; }

        private long Native { get; set; }

        private long Traps { get; set; }

        public void Add(LockStepRun run)
        {
            Instructions += run.Instructions;
            Native += run.NativeInstructions;
            Quanta += run.Quanta;
            Traps += run.Traps;
            Scenes++;
        }

        public override string ToString()
            => $"{source.Name,-16} {Scenes,7:N0} scenes {Instructions,16:N0} instructions, {(Instructions > 0 ? 100.0 * Native / Instructions : 0):F0} % native in {Engines.Here[^1]}, {Quanta:N0} quanta, {Traps:N0} traps";
    }
}
