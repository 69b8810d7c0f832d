namespace LivePatchLab.Machine;

/// <summary>Sends a function-call IPI to every other CPU that is online and, where asked, waits until all have run the function.</summary>
/// <remarks>One routine may yield the same step again once it is done. What the initiator itself does, and when, is the caller's affair: see on_each_cpu in the Linux layer.</remarks>
public class CallFunction(IpiFunction function, bool wait) : KernelStep
{
    private IpiRound? _round;

    public override string Describe() => $"IPI to all others: {function.Name}{(wait ? ", wait" : "")}";

    protected internal override long Execute(Cpu cpu)
    {
        if (_round is not { Pending: 0 }) _round = new(function);
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
