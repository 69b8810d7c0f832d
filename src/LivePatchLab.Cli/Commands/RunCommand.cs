using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Cli;

/// <summary>livepatch run: a static freestanding program on the emulated machine.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var cpus = new Option<int>("--cpus") { Description = "CPUs, 1 to 1024; each starts at the entry, RDI = its number, RSI = how many", DefaultValueFactory = _ => 1 };
        var engine = new Option<string>("--engine") { Description = "what executes the code: auto (what is hot runs native where this computer can), interpreter, translator (all that can be); the outcome is the same", DefaultValueFactory = _ => "auto" };
        var seed = new Option<ulong>("--seed") { Description = "what all chance is drawn from", DefaultValueFactory = _ => 1 };
        var stats = new Option<bool>("--stats") { Description = "one JSON object on stderr at the end: instructions, speed, state hash, and where the time went: decoded and translated blocks, time in translation, exits from native code by reason" };
        var program = new Argument<string>("PROGRAM") { Description = "a static ELF64 of your own with the system calls write, exit, exit_group" };
        var arguments = new Argument<string[]>("ARG") { Description = "its arguments, verbatim", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("run", """
            Runs a static freestanding program. Its exit status is the program's own; a fault ends as 128 and the signal's number.
            Options come before PROGRAM. All that follows PROGRAM is the program's as it stands, -- and what looks like an option of ours too.

            Examples:
              livepatch run data/guests/hello
              livepatch run --cpus 8 --stats data/guests/locks
              livepatch run --engine interpreter --stats data/guests/kernels 0 100
            """)
        { cpus, engine, seed, stats, program, arguments };
        command.SetInterruptibleAction((parsed, cancellation) => Run(
            parsed.GetValue(program)!,
            parsed.GetValue(arguments) ?? [],
            parsed.GetValue(cpus),
            EngineFrom(parsed.GetValue(engine)!),
            new Seed(parsed.GetValue(seed)),
            parsed.GetValue(stats),
            cancellation));
        return command;
    }

    private static int Run(string path, string[] arguments, int cpus, ExecutionEngine engine, Seed seed, bool stats, CancellationToken cancellation)
    {
        if (cpus is < 1 or > MachineOptions.CpusMax) throw new BadInputException($"--cpus {cpus}: a machine has 1 to {MachineOptions.CpusMax} CPUs");
        if (path.StartsWith('-') && !File.Exists(path)) throw new BadInputException(NoSuchOption(path));
        var image = ProgramImage.Open(path);
        using var machine = Machine(new MachineOptions
        {
            Cpus = cpus,
            Choices = new SeededChoices(seed),
            QuantumCyclesMax = 1000,
            Engine = engine,
            HostClock = stats ? () => Stopwatch.GetElapsedTime(0) : null,
        });
        using var output = Console.OpenStandardOutput();
        using var errors = Console.OpenStandardError();
        var guest = new UserProgram(machine, image, arguments, output, errors);
        var started = Stopwatch.GetTimestamp();
        var end = guest.Run(cancellation);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (end.Message is not null) Console.Error.WriteLine("livepatch: " + end.Message);
        if (stats) Console.Error.WriteLine(Stats(machine, seconds).ToJsonString());
        return end.IsUnsupported ? ExitCode.Unsupported : end.Status;
    }

    private static ExecutionEngine EngineFrom(string name)
        => Suggestion.Find(Enum.GetValues<ExecutionEngine>(), NameOf, name, "engine");

    private static string NameOf(ExecutionEngine engine) => engine.ToString().ToLowerInvariant();

    private static SmpMachine Machine(MachineOptions options)
    {
        try
        {
            return new(options);
        }
        catch (PlatformNotSupportedException e)
        {
            throw new UnsupportedInputException($"--engine {NameOf(options.Engine)}: {e.Message.TrimEnd('.')}; leave the option out, and what this computer has runs the program");
        }
    }

    /// <summary>An option that is mistyped is taken for the program, because programs have options of their own.</summary>
    private static string NoSuchOption(string name)
    {
        var meant = Suggestion.Nearest(["--cpus", "--engine", "--seed", "--stats"], name) is { } nearest ? $"Did you mean {nearest}?" : "livepatch run --help lists them";
        return $"{name}: there is no such option, and no program of that name.  {meant}";
    }

    private static JsonObject Stats(SmpMachine machine, double seconds)
    {
        var instructions = machine.Cpus.Sum(c => c.RetiredInstructions);
        var engine = machine.EngineStatistics;
        return new()
        {
            ["engine"] = NameOf(machine.Engine),
            ["cpus"] = machine.Cpus.Count,
            ["instructions"] = instructions,
            ["hostSeconds"] = seconds,
            ["mips"] = seconds > 0 ? Math.Round(instructions / seconds / 1e6, 1) : 0,
            ["stateHash"] = machine.Hash().ToString(),
            ["nativeInstructions"] = engine.NativeInstructions,
            ["interpretedInstructions"] = engine.InterpretedInstructions,
            ["decodedBlocks"] = engine.DecodedBlocks,
            ["decodedBytes"] = engine.DecodedBytes,
            ["translatedBlocks"] = engine.TranslatedBlocks,
            ["translatedInstructions"] = engine.TranslatedInstructions,
            ["translatedBytes"] = engine.TranslatedBytes,
            ["translationSeconds"] = engine.TranslationTime.TotalSeconds,
            ["foundAgain"] = engine.FoundAgain,
            ["cacheFlushes"] = engine.CacheFlushes,
            ["exits"] = new JsonObject(engine.Exits.OrderByDescending(exit => exit.Value).ThenBy(exit => exit.Key, StringComparer.Ordinal).Select(exit => KeyValuePair.Create(exit.Key, (JsonNode?)exit.Value))),
        };
    }
}
