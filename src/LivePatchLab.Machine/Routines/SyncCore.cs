namespace LivePatchLab.Machine;

/// <summary>sync_core() on the CPU itself. Shared: the instance below serves all routines.</summary>
public sealed class SyncCore : KernelStep
{
    private SyncCore()
    {
    }

    public static SyncCore Here { get; } = new();

    public override string Describe() => "sync_core";

    protected internal override long Execute(Cpu cpu)
    {
        cpu.Serialise(SerialisingEvents.Instruction);
        return cpu.Machine.Costs.Serialise;
    }
}
