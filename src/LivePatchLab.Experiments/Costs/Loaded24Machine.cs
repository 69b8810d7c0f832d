using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>loaded-24: the two-socket machine on which Bristot measured batching, while it built a kernel.</summary>
internal static class Loaded24Machine
{
    private const long FrequencyHz = 2_270_000_000;

    private const string TwoNodes = "assumed for two sockets of 2.27 GHz Xeons; small beside the waiting for interrupts that are off";

    public static CostPreset Preset { get; } = new(Quiet4Machine.Preset.Costs with
    {
        Name = "loaded-24",
        Description = "24 CPUs, two nodes, 2.27 GHz, under a kernel build (Bristot, cover letter of the 2019 batch series: 57 ms for 168 synchronisations, 1.4 ms for 3).",
        FrequencyHz = FrequencyHz,
        IpiSend = Nanoseconds(90, TwoNodes),
        IpiLatency = Nanoseconds(900, TwoNodes),
        IpiJitter = Nanoseconds(400, TwoNodes),
        IdleExit = Nanoseconds(1500, TwoNodes),
        InterruptEntry = Nanoseconds(250, TwoNodes),
        InterruptExit = Nanoseconds(150, TwoNodes),
        Serialise = Nanoseconds(160, TwoNodes),
        AcknowledgeRead = Nanoseconds(120, TwoNodes),
        CacheMiss = Nanoseconds(120, TwoNodes),
        TextPoke = Nanoseconds(900, TwoNodes),
        StopperWake = Nanoseconds(3000, TwoNodes),
    }, new InterruptLoad(
        OnMeanCycles: Cycles(3300),
        OffMeanCycles: Cycles(720),
        "fitted together to Bristot's 339 us a synchronisation site by site and 467 us in a batch, with 24 CPUs; that the lengths are exponential is our assumption"));

    private static CostFigure Nanoseconds(double nanoseconds, string source) => CostFigure.FromNanoseconds(nanoseconds, FrequencyHz, source);

    private static long Cycles(double microseconds) => (long)(microseconds * FrequencyHz / 1e6);
}
