using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>kvm-2: a guest of two virtual CPUs, whose IPIs go through the hypervisor.</summary>
internal static class Kvm2Machine
{
    private const long FrequencyHz = 2_500_000_000;

    private const string KvmIpi = "shared out of the 1.7 us of a normal IPI between two virtual CPUs in the KVM microbenchmark (173 ms for 1e5; docs/costs.md)";

    public static CostPreset Preset { get; } = new(Quiet4Machine.Preset.Costs with
    {
        Name = "kvm-2",
        Description = "A KVM guest of two virtual CPUs on 2.5 GHz: sending an IPI leaves the guest, and so does waking a halted CPU.",
        FrequencyHz = FrequencyHz,
        IpiSend = Nanoseconds(700, KvmIpi),
        IpiLatency = Nanoseconds(500, KvmIpi),
        IpiJitter = Nanoseconds(150, "assumed"),
        IdleExit = Nanoseconds(250, KvmIpi + "; the host polls before it puts a halted virtual CPU to sleep"),
        InterruptEntry = Nanoseconds(150, KvmIpi),
        InterruptExit = Nanoseconds(100, KvmIpi),
        Serialise = Nanoseconds(110, "IRET to self never leaves the guest (arch/x86/include/asm/sync_core.h)"),
        TextPoke = Nanoseconds(800, "assumed inside the 0.05 to 1 us of docs/costs.md; TLB work costs more in a guest"),
    }, Load: null);

    private static CostFigure Nanoseconds(double nanoseconds, string source) => CostFigure.FromNanoseconds(nanoseconds, FrequencyHz, source);
}
