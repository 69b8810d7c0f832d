namespace LivePatchLab.Machine;

/// <summary>Sends a function-call IPI to every other CPU that is online and, where asked, waits until all have run the function.</summary>
/// <param name="function">What they run.</param>
/// <param name="wait">Whether the step goes on only when all have run it.</param>
/// <param name="only">Which of the others it goes to; null for all of them.</param>
/// <remarks>One routine may yield the same step again once it is done. What the initiator itself does, and when, is the caller's affair: see on_each_cpu in the Linux layer.</remarks>
public class CallFunction(IpiFunction function, bool wait, Func<Cpu, bool>? only = null) : KernelStep
{
    private IpiRound? _round;

    /// <summary>True when the step goes on only once all have run the function.</summary>
    public bool Waits => wait;

    public override string Describe() => $"IPI to {(only is null ? "all others" : "some others")}: {function.Name}{(wait ? ", wait" : "")}";

    protected internal override long Execute(Cpu cpu)
    {
        if (_round is not { Pending: 0 }) _round = new(function, only);
        cpu.SendToOthers(_round);
        var sent = _round.Targets * cpu.Machine.Costs.IpiSend.Cycles;
        if (!wait) return sent;
        if (_round.Pending > 0)
        {
            _round.Waiter = cpu.Block();
            return sent;
        }

        var waited = Math.Max(0, _round.LastAcknowledgedCycles - cpu.ClockCycles - sent);
        cpu.Account.WaitCycles += waited;
        return sent + waited + Resume(cpu);
    }

    protected internal override long Resume(Cpu cpu)
    {
        cpu.Machine.Accesses?.Acquire(_round!.AcknowledgedThing);
        return _round!.Targets * cpu.Machine.Costs.AcknowledgeRead.Cycles;
    }
}
