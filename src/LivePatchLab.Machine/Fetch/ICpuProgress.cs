namespace LivePatchLab.Machine;

/// <summary>How far each CPU has come, for the fetch model. Of a CPU that is in the interpreter, it is how far it had come when it went in.</summary>
internal interface ICpuProgress
{
    long ClockOf(CpuId cpu);

    /// <summary>Guest instructions that it has retired.</summary>
    long RetiredBy(CpuId cpu);

    /// <summary>The guest instruction that it executes next, or null while it executes no guest code.</summary>
    GuestAddress? NextInstructionOf(CpuId cpu);
}

/// <summary>The progress of a machine's CPUs.</summary>
internal sealed class CpuProgress(SmpMachine machine) : ICpuProgress
{
    public long ClockOf(CpuId cpu) => machine.AllCpus[cpu.Index].ClockCycles;

    public long RetiredBy(CpuId cpu) => machine.AllCpus[cpu.Index].RetiredInstructions;

    public GuestAddress? NextInstructionOf(CpuId cpu)
    {
        var on = machine.AllCpus[cpu.Index];
        return on is { Activity: CpuActivity.Guest, Routine: null } ? on.Rip : null;
    }
}
