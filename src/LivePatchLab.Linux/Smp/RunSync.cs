using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// on_each_cpu(do_sync_core, NULL, 1): the other CPUs by IPI, then, once all have answered, this one. In that order in
/// kernel/smp.c, on_each_cpu(), until v5.7; later kernels run the local call while they wait.
/// </summary>
[KernelName("run_sync", File = "arch/x86/kernel/alternative.c", Version = "v3.12")]
public sealed class RunSync(LinuxKernel kernel) : CallFunction(DoSyncCore.Function, wait: true)
{
    public override string Describe() => "run_sync";

    protected override long Execute(Cpu cpu)
    {
        kernel.SyncRounds++;
        return base.Execute(cpu);
    }

    protected override long Resume(Cpu cpu)
    {
        var read = base.Resume(cpu);
        cpu.Serialise(SerialisingEvents.Instruction);
        return read + cpu.Machine.Costs.Serialise;
    }
}
