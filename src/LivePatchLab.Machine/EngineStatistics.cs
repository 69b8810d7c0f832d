namespace LivePatchLab.Machine;

/// <summary>Where the execution of guest code has gone so far. Counts of the host's work: no outcome depends on them.</summary>
public sealed record EngineStatistics
{
    /// <summary>Instructions retired in native code and in the interpreter.</summary>
    public required long NativeInstructions { get; init; }

    public required long InterpretedInstructions { get; init; }

    /// <summary>Blocks that the interpreter has decoded.</summary>
    public required long DecodedBlocks { get; init; }

    public required long DecodedBytes { get; init; }

    /// <summary>Translations made, those for a CPU that stops in the middle of a block included.</summary>
    public required long TranslatedBlocks { get; init; }

    /// <summary>Guest instructions in them.</summary>
    public required long TranslatedInstructions { get; init; }

    /// <summary>Native code that was emitted for them.</summary>
    public required long TranslatedBytes { get; init; }

    /// <summary>Blocks that were asked for again after their bytes had changed and changed back, and were not translated anew.</summary>
    public required long FoundAgain { get; init; }

    /// <summary>How often the cache of translations was full and was emptied.</summary>
    public required long CacheFlushes { get; init; }

    /// <summary>The host's time in translation; zero unless the machine was asked to measure it.</summary>
    public required TimeSpan TranslationTime { get; init; }

    /// <summary>Why native code came back, and how often; only reasons that occurred.</summary>
    public required IReadOnlyDictionary<string, long> Exits { get; init; }

    internal static EngineStatistics Of(SmpMachine machine)
    {
        var interpreter = machine.Interpreter;
        var native = interpreter.Native;
        var cache = native?.Cache;
        return new()
        {
            NativeInstructions = native?.Instructions ?? 0,
            InterpretedInstructions = machine.Cpus.Sum(cpu => cpu.RetiredInstructions) - (native?.Instructions ?? 0),
            DecodedBlocks = interpreter.DecodedBlocks,
            DecodedBytes = interpreter.DecodedBytes,
            TranslatedBlocks = cache?.TranslatedUnits ?? 0,
            TranslatedInstructions = cache?.TranslatedInstructions ?? 0,
            TranslatedBytes = cache?.TranslatedBytes ?? 0,
            FoundAgain = cache?.FoundAgain ?? 0,
            CacheFlushes = cache?.Flushes ?? 0,
            TranslationTime = native?.TranslationTime ?? TimeSpan.Zero,
            Exits = native?.Exits ?? new Dictionary<string, long>(),
        };
    }
}
