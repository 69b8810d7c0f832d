namespace LivePatchLab.Machine;

/// <summary>Stops the machine: what a kernel does that has found itself broken.</summary>
public sealed class StopRun(string why) : KernelStep
{
    public override string Describe() => why;

    protected internal override long Execute(Cpu cpu)
    {
        cpu.Machine.RequestStop();
        return 0;
    }
}
