namespace LivePatchLab.Machine;

/// <summary>What a function-call IPI has its target do, with interrupts off.</summary>
public abstract class IpiFunction
{
    public abstract string Name { get; }

    /// <summary>The function's steps on a target; null where the function is one indivisible act, done by <see cref="Call"/>.</summary>
    public virtual IEnumerable<KernelStep>? Steps(Cpu cpu) => null;

    /// <summary>True when <see cref="Call"/> is the whole function.</summary>
    public virtual bool IsIndivisible => true;

    /// <summary>True when <see cref="Call"/> is sync_core() and nothing else: it serialises, and takes the time of that.</summary>
    protected internal virtual bool IsSyncCore => false;

    /// <summary>Does an indivisible function.</summary>
    /// <returns>The cycles that it takes.</returns>
    protected internal virtual long Call(Cpu cpu) => 0;
}

/// <summary>The CPUs that one function-call IPI went to, and who of them has not answered yet.</summary>
internal sealed class IpiRound(IpiFunction function, Func<Cpu, bool>? only = null)
{
    public IpiFunction Function { get; } = function;

    /// <summary>Which of the initiator's others get it; null for all.</summary>
    public Func<Cpu, bool>? Only { get; } = only;

    public Cpu Initiator { get; private set; } = null!;

    /// <summary>The initiator's clock when it began to send.</summary>
    public long SentClockCycles { get; private set; }

    /// <summary>What the taking of the IPI comes after, for those who order transitions; and what the initiator's going on comes after.</summary>
    public uint SentThing { get; private set; }

    public uint AcknowledgedThing => SentThing + 1;

    public int Targets { get; set; }

    public int Pending { get; set; }

    public long LastAcknowledgedCycles { get; private set; }

    /// <summary>Set while the initiator waits for this round.</summary>
    public KernelRoutine? Waiter { get; set; }

    /// <summary>Begins, or begins anew once everybody has answered.</summary>
    public void Begin(Cpu initiator)
    {
        Initiator = initiator;
        SentClockCycles = initiator.ClockCycles;
        Waiter = null;
        Targets = 0;
        LastAcknowledgedCycles = 0;
        if (initiator.Machine.Accesses is not null) SentThing = initiator.NextRoundThing();
    }

    /// <summary>A target has run the function, and there was no need to wait for it.</summary>
    public void NoteAcknowledged(long clockCycles)
    {
        if (clockCycles > LastAcknowledgedCycles) LastAcknowledgedCycles = clockCycles;
    }

    public void Acknowledge(long clockCycles)
    {
        NoteAcknowledged(clockCycles);
        Initiator.Machine.Accesses?.Release(AcknowledgedThing);
        if (--Pending == 0 && Waiter is not null) Initiator.Wake(Waiter, LastAcknowledgedCycles);
    }
}
