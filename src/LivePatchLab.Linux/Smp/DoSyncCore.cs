using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The function that an IPI has every CPU call so that it forgets the instructions it has fetched.</summary>
[KernelName("do_sync_core", File = "arch/x86/kernel/alternative.c", Version = "v3.12")]
public sealed class DoSyncCore : IpiFunction
{
    private DoSyncCore()
    {
    }

    public static DoSyncCore Function { get; } = new();

    public override string Name => "do_sync_core";

    protected override bool IsSyncCore => true;

    protected override long Call(Cpu cpu)
    {
        cpu.Serialise(SerialisingEvents.Instruction);
        return cpu.Machine.Costs.Serialise;
    }
}
