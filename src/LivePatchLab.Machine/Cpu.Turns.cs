namespace LivePatchLab.Machine;

/// <summary>The CPU's turn, as the machine gives it: most of the time guest code, and the IPIs with sync_core() that come into it while text is patched.</summary>
public sealed unsafe partial class Cpu
{
    /// <summary>Has its turn; gives when it can go on, or null while it waits for others or for ever.</summary>
    internal long? TakeTurn()
    {
        // IPIs that it has taken may have been all there was time for.
        if (!IsBareGuest || (ClockCycles < Machine.RunLimitCycles && !TryStayThroughIpi())) Run();
        NotePlain();
        return ReadyClock;
    }

    /// <summary>The same, where a stay in translated code has begun the turn and not retired all of its instructions.</summary>
    internal long? FinishTurn(long instructions)
    {
        CountAfterStay(Machine.Interpreter.EndStay(State), instructions);
        if (ClockCycles < Machine.RunLimitCycles) Run();
        NotePlain();
        return ReadyClock;
    }

    /// <summary>
    /// Guest code, before it goes on, takes the IPIs with sync_core() that have landed, with nobody looking on: what <see cref="TakeIpi"/> would come to.
    /// </summary>
    internal void TakeUnseenIpis()
    {
        if (!TakesIpisUnseen) return;
        while (_pendingIpis.Count > 0 && _pendingIpis[0].ArrivalCycles <= ClockCycles && _pendingIpis[0].Round.Function.IsSyncCore && ClockCycles < Machine.RunLimitCycles)
            TakeUnseenIpi();
        NotePlain();
    }

    /// <summary>
    /// True on a CPU that executes guest code and would only serialise in the handler of sync_core(), in one and the same way at each event on the way in and out.
    /// </summary>
    private bool TakesIpisUnseen => IsBareGuest && InterruptsEnabled && _storeBuffer.IsEmpty && IsSyncCoreUnseen && Machine.Versions.FetchesCleanPlainly;

    /// <summary>Nobody else acts between entry and exit, so to serialise once is to serialise at each.</summary>
    private void TakeUnseenIpi()
    {
        var round = _pendingIpis[0].Round;
        _pendingIpis.RemoveAt(0);
        var costs = Machine.Costs;
        var (entered, acknowledged) = (ClockCycles, ClockCycles + costs.InterruptEntry.Cycles + costs.Serialise.Cycles);
        RepeatedString.End(State);
        Machine.Versions.Serialise(Id);
        ClockCycles = acknowledged + costs.InterruptExit.Cycles;
        round.Acknowledge(acknowledged);
        ref var account = ref Account;
        account.IpisTaken++;
        account.HandlerCycles += ClockCycles - entered;
    }

    /// <summary>
    /// A turn into the middle of which an IPI with sync_core() comes, in one stay in translated code; false, with nothing done, where it cannot be. What such code executes
    /// has one version and does not ask for the time, so on which side of its instructions the IPI was taken shows in nothing but the clock. Where the stay ends before the
    /// turn does, the IPI is taken, or still to come, before anything else is done.
    /// </summary>
    private bool TryStayThroughIpi()
    {
        var machine = Machine;
        if (_pendingIpis.Count != 1 || !TakesIpisUnseen || !machine.IsGuestUnseen(State) || machine.Interpreter.Native is not { } native) return false;
        var (arrival, round) = _pendingIpis[0];

        // The last answer wakes whoever waits for it, which may end this turn sooner.
        if (!round.Function.IsSyncCore || round.Pending == 1) return false;
        var (costs, cycles) = (machine.Costs, machine.InstructionCycles);
        var before = InstructionsFor(arrival - ClockCycles, cycles);
        var left = machine.RunLimitCycles - ClockCycles - (before * cycles) - costs.InterruptEntry.Cycles - costs.Serialise.Cycles - costs.InterruptExit.Cycles;
        if (before <= 0 || left <= 0) return false;
        var after = InstructionsFor(left, cycles);
        if (before + after > RunInstructionsMax || !native.TryStay(State, before + after)) return false;
        if (native.HasRetiredAll(State))
        {
            Count(before);
            TakeUnseenIpi();
            Count(after);
            return true;
        }

        var stop = machine.Interpreter.EndStay(State);
        if (State->Budget > after)
        {
            State->Budget -= after;
            CountAfterStay(stop, before);
        }
        else
        {
            Count(before);
            TakeUnseenIpi();
            CountAfterStay(stop, after);
        }

        if (ClockCycles < machine.RunLimitCycles) Run();
        return true;
    }

    /// <summary>What follows a stay in translated code that has not retired all of a budget.</summary>
    /// <param name="stop">What <see cref="Interpreter.EndStay"/> gave.</param>
    /// <param name="instructions">The budget.</param>
    private void CountAfterStay(NativeStop stop, long instructions)
    {
        Count(Machine.Interpreter.RunAfterStay(State, stop, instructions));
        if (State->Exit != ExecutionExit.Budget) AfterGuest(Machine.InstructionCycles);
    }
}
