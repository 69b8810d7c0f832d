namespace LivePatchLab.Machine;

/// <summary>Says that what follows belongs to another phase of the work: the account of cycles is kept by phase. Takes no time; may be shared.</summary>
public sealed class PhaseMark(string phase) : KernelStep
{
    public string Phase { get; } = phase;

    public override string Describe() => $"-- {Phase}";

    protected internal override bool IsQuiet => true;

    protected internal override long Execute(Cpu cpu)
    {
        cpu.Machine.Accounts.Enter(Phase, cpu.ClockCycles);
        return 0;
    }
}
