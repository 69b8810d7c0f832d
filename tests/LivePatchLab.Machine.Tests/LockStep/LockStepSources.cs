namespace LivePatchLab.Machine.Tests;

/// <summary>The kinds of scenes, and how much of a long run each gets.</summary>
internal static class LockStepSources
{
    public static LockStepSource Streams { get; } = new("streams", (seed, engine) => new RandomProgramScene(seed, engine, isPatched: false));

    public static LockStepSource PatchedStreams { get; } = new("patched-streams", (seed, engine) => new RandomProgramScene(seed, engine, isPatched: true));

    public static LockStepSource InterruptedStreams { get; } = new("interrupted-streams", (seed, engine) => new RandomProgramScene(seed, engine, isPatched: true, isInterrupted: true));

    public static LockStepSource PatchedText { get; } = new("patched-text", (seed, engine) => new PatchedTextScene(seed, engine)) { IsLarge = true };

    public static LockStepSource Guests { get; } = new("guests", (seed, engine) => new GuestScene(seed, engine)) { IsLarge = true };

    public static LockStepSource RandomBytes { get; } = new("random-bytes", (seed, engine) => new RandomBytesScene(seed, engine));

    public static LockStepSource FlagStreams { get; } = new("flag-streams", (seed, engine) => new FlagStreamScene(seed, engine));

    public static IReadOnlyList<LockStepSource> All { get; } = [Streams, FlagStreams, PatchedStreams, InterruptedStreams, PatchedText, Guests, RandomBytes];
}
