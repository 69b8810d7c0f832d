namespace LivePatchLab.Machine.Tests;

/// <summary>CPUs that have come as far as the test says, and execute no guest code of their own.</summary>
internal sealed class StandingCpus : ICpuProgress
{
    public Func<long> Clock { get; init; } = () => 0;

    public Dictionary<int, long> Retired { get; } = [];

    public Dictionary<int, GuestAddress> Next { get; } = [];

    public long ClockOf(CpuId cpu) => Clock();

    public long RetiredBy(CpuId cpu) => Retired.GetValueOrDefault(cpu.Index);

    public GuestAddress? NextInstructionOf(CpuId cpu) => Next.TryGetValue(cpu.Index, out var next) ? next : null;
}
