namespace LivePatchLab.Machine;

/// <summary>
/// The CPU leaves for its hypervisor and comes back. Whether that serialises is the fetch model's to say
/// (<see cref="SerialisingEvents.HypervisorExit"/>). May be shared.
/// </summary>
public sealed class HypervisorExit(long costCycles) : KernelStep
{
    public override string Describe() => "VM exit and entry";

    protected internal override long Execute(Cpu cpu)
    {
        cpu.Serialise(SerialisingEvents.HypervisorExit);
        return costCycles;
    }
}
