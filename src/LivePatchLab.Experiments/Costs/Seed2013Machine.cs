using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>seed-2013: the unknown machine of the seed's two timings.</summary>
internal static class Seed2013Machine
{
    private const string Fitted = "fitted: with 25,000 sites, 8 transitions a cycle and 4 CPUs the difference of the seed's two columns leaves 2.7 us a synchronisation (docs/costs.md); other assumptions fit as well, see notebook 03";
    private const string RecordStepBudget = "79 ns per record step: 23.8 s of system time over 3.0e8 steps, the seed's first column (docs/costs.md), shared out by assumption";

    private const long FrequencyHz = 2_600_000_000;

    public static CostPreset Preset { get; } = new(Quiet4Machine.Preset.Costs with
    {
        Name = "seed-2013",
        Description = "The machine of the seed's table, as far as its two measured columns tell: they do not settle how many CPUs and sites it had, nor what a transition was.",
        FrequencyHz = FrequencyHz,
        IpiSend = Nanoseconds(80, Fitted),
        IpiLatency = Nanoseconds(700, Fitted),
        IpiJitter = Nanoseconds(0, "none: the seed's repetitions agree within 0.5 %"),
        IdleExit = Nanoseconds(900, Fitted),
        InterruptEntry = Nanoseconds(200, Fitted),
        InterruptExit = Nanoseconds(130, Fitted),
        Serialise = Nanoseconds(160, Fitted + "; CPUID then"),
        AcknowledgeRead = Nanoseconds(60, Fitted),
        BreakpointEntry = Nanoseconds(300, "assumed: half of a kprobe hit, 0.49 to 0.99 us in Documentation/trace/kprobes.rst"),
        BreakpointHandler = Nanoseconds(45, "int3 handler body with one site: Bristot 2019"),
        LookupStep = Nanoseconds(23, "(180 - 45) ns over log2(56) comparisons: Bristot 2019"),
        TextRead = Nanoseconds(35, RecordStepBudget),
        ProbeWrite = Nanoseconds(35, RecordStepBudget),
        RecordStep = Nanoseconds(9, RecordStepBudget),
        TextPoke = Nanoseconds(53, "16 s of system time over 3.0e8 pokes, the seed's second column; impossible for a text_poke of 2013, so either fewer sites were patched or the time was not charged to the task (docs/costs.md)"),
        StopperWake = Nanoseconds(2000, "assumed: wake-up and one context switch; no figure for stop_machine was found"),
    }, Load: null);

    private static CostFigure Nanoseconds(double nanoseconds, string source) => CostFigure.FromNanoseconds(nanoseconds, FrequencyHz, source);
}
