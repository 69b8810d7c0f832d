namespace LivePatchLab.Machine;

/// <summary>The models that have a name. What stands behind each, and what does not, is in docs/fetch-model.md.</summary>
public sealed partial record FetchModel
{
    /// <summary>A processor that snoops perfectly: what naive code patching believes in.</summary>
    public static FetchModel Ideal { get; } = new()
    {
        Name = "ideal",
        Description = "A store to code is seen by every CPU at its next instruction. No real processor promises this.",
        RemoteSnoop = RemoteSnoop.FlushAll,
    };

    /// <summary>What software takes Intel's processors to do, beyond what the SDM promises.</summary>
    public static FetchModel IntelPractice { get; } = new()
    {
        Name = "intel-practice",
        Description = "Whole cache lines are coherent and a store drops what is not decoded yet; up to 64 decoded instructions run on. What software relies on (Native Client never writes across a line), not what Intel promises; the 64 is an assumption.",
        AtomicChunkBytes = 64,
        QueueDepth = 64,
        WindowBytes = 32,
        MicroOpCacheLines = 64,
        RemoteSnoop = RemoteSnoop.InvalidateFetchable,
        LocalSmc = LocalSmc.SamePhysical,
    };

    /// <summary>Aligned quadwords change as one, and nothing else is promised before the CPU serialises.</summary>
    public static FetchModel AmdAsync { get; } = new()
    {
        Name = "amd-async",
        Description = "An aligned quadword is fetched as one; different ones may be stale on their own until the CPU serialises. AMD's rule for asynchronous changes (APM volume 2, 7.6.1) as it is remembered and as Native Client heeds it: the APM's own text was not at hand.",
        AtomicChunkBytes = 8,
        RemoteSnoop = RemoteSnoop.None,
    };

    /// <summary>The least that the manuals promise for cross-modifying code.</summary>
    public static FetchModel SdmWorst { get; } = new()
    {
        Name = "sdm-worst",
        Description = "Every byte may be stale on its own until the CPU serialises, and what was torn may raise #UD or #GP: the worst reading of Intel SDM volume 3, \"Handling Self- and Cross-Modifying Code\", and of Intel's erratum on unsynchronised cross-modifying code.",
        AtomicChunkBytes = 1,
        RemoteSnoop = RemoteSnoop.None,
        TornDecode = TornDecode.AnyException,
    };

    /// <summary>An emulator that translates block by block.</summary>
    public static FetchModel QemuTcg { get; } = new()
    {
        Name = "qemu-tcg",
        Description = "Straight code up to its branch is seen as it was when it was entered, and no older: QEMU drops the translations of a changed page, but one that is being executed runs to its end. The lab's picture of TCG, not measured against it.",
        CaptureUnit = CaptureUnit.Block,
        RemoteSnoop = RemoteSnoop.InvalidateFetchable,
        LocalSmc = LocalSmc.SamePhysical,
    };

    /// <summary>An instruction cache that software has to maintain, on a machine that is otherwise x86.</summary>
    public static FetchModel ArmLike { get; } = new()
    {
        Name = "arm-like",
        Description = "The instruction cache is not coherent: new bytes are sure to be seen only where their line has been maintained (IC IVAU) and the CPU has serialised (ISB) afterwards. For comparison with Arm's rules; an x86 processor never behaves so.",
        AtomicChunkBytes = 8,
        RemoteSnoop = RemoteSnoop.None,
        LocalSmc = LocalSmc.None,
        IcacheCoherent = false,
    };

    public static IReadOnlyList<FetchModel> Presets { get; } = [Ideal, IntelPractice, AmdAsync, SdmWorst, QemuTcg, ArmLike];
}
