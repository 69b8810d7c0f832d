namespace LivePatchLab.Machine;

/// <summary>What one CPU met during one phase.</summary>
public struct CpuAccount
{
    /// <summary>Function-call IPIs taken.</summary>
    public long IpisTaken;

    /// <summary>Function-call IPIs sent, one a target.</summary>
    public long IpisSent;

    /// <summary>Exceptions taken, #BP among them.</summary>
    public long Traps;

    /// <summary>#BP taken.</summary>
    public long Breakpoints;

    /// <summary>Cycles spent waiting: for acknowledgements, for locks, for a variable.</summary>
    public long WaitCycles;

    /// <summary>Cycles lost to interrupts and exceptions: entry, handler and return.</summary>
    public long HandlerCycles;

    /// <summary>Cycles in which the CPU's own work stood still.</summary>
    public readonly long StalledCycles => WaitCycles + HandlerCycles;

    internal void Add(in CpuAccount other)
    {
        IpisTaken += other.IpisTaken;
        IpisSent += other.IpisSent;
        Traps += other.Traps;
        Breakpoints += other.Breakpoints;
        WaitCycles += other.WaitCycles;
        HandlerCycles += other.HandlerCycles;
    }
}
