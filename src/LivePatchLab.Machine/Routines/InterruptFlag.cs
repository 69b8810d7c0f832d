namespace LivePatchLab.Machine;

/// <summary>CLI and STI. Shared: the instances below serve all routines.</summary>
public sealed class InterruptFlag : KernelStep
{
    private readonly bool _enable;

    private InterruptFlag(bool enable) => _enable = enable;

    /// <summary>local_irq_disable()</summary>
    public static InterruptFlag Off { get; } = new(false);

    /// <summary>local_irq_enable()</summary>
    public static InterruptFlag On { get; } = new(true);

    public override string Describe() => _enable ? "interrupts on" : "interrupts off";

    protected internal override long Execute(Cpu cpu)
    {
        cpu.InterruptsEnabled = _enable;
        cpu.Machine.Accesses?.Write(AccessLog.InterruptFlagOf(cpu.Id.Index));
        return cpu.Machine.Costs.Instruction;
    }
}
