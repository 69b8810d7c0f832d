using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>quiet-4: a small desktop of about 2016 that does nothing else.</summary>
internal static class Quiet4Machine
{
    private const long FrequencyHz = 3_000_000_000;

    private const string SyncBudget = "assumed, so that a synchronisation of 4 idle CPUs takes the 1.5 to 3 us that docs/costs.md expects of a quiet machine";
    private const string TextPokeRange = "assumed inside the 0.05 to 1 us of docs/costs.md: alias map, write, unmap, TLB flush, sync_core, read back";

    public static CostPreset Preset { get; } = new(new CostModel
    {
        Name = "quiet-4",
        Description = "A small quiet SMP of about 2016 at 3 GHz. Its synchronisation cost is set by assumption inside the range that published figures allow; it is not one measured machine.",
        FrequencyHz = FrequencyHz,
        Instruction = new(1, "assumed: one instruction a cycle"),
        IpiSend = Nanoseconds(60, SyncBudget),
        IpiLatency = Nanoseconds(400, SyncBudget),
        IpiJitter = Nanoseconds(100, SyncBudget),
        IdleExit = Nanoseconds(600, SyncBudget + "; leaving C1"),
        InterruptEntry = Nanoseconds(150, SyncBudget),
        InterruptExit = Nanoseconds(100, SyncBudget),
        Serialise = Nanoseconds(110, "IRET to self, 2016 laptop: message of commit c198b121b1a1, as remembered in docs/costs.md"),
        AcknowledgeRead = Nanoseconds(50, "assumed: one cache line from another core"),
        BreakpointEntry = Nanoseconds(250, "assumed: half of a kprobe hit, 0.49 to 0.99 us in Documentation/trace/kprobes.rst"),
        BreakpointHandler = Nanoseconds(45, "int3 handler body with one site: Bristot, cover letter of the 2019 batch series"),
        LookupStep = Nanoseconds(23, "(180 - 45) ns over log2(56) comparisons: Bristot, cover letter of the 2019 batch series"),
        TextRead = Nanoseconds(35, "assumed: part of the seed's 79 ns per record step"),
        TextPoke = Nanoseconds(600, TextPokeRange),
        ProbeWrite = Nanoseconds(35, "assumed: part of the seed's 79 ns per record step"),
        RecordStep = Nanoseconds(9, "assumed: the rest of the seed's 79 ns per record step"),
        VariableAccess = Nanoseconds(2, "assumed: first-level cache"),
        CacheMiss = Nanoseconds(60, "assumed: one cache line from another core"),
        Fence = Nanoseconds(1, "smp_wmb and smp_rmb are compiler barriers on x86"),
        StopperWake = Nanoseconds(1500, "assumed: wake-up and one context switch; no figure for stop_machine was found"),
    }, Load: null);

    private static CostFigure Nanoseconds(double nanoseconds, string source) => CostFigure.FromNanoseconds(nanoseconds, FrequencyHz, source);
}
