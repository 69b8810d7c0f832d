using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>Function-call IPIs: sending, landing, and the way in and out of their handlers.</summary>
public sealed unsafe partial class Cpu
{
    private readonly record struct PendingIpi(long ArrivalCycles, IpiRound Round);

    /// <summary>Sends one function-call IPI to each other CPU that is online.</summary>
    internal void SendToOthers(IpiRound round)
    {
        DrainStores();
        round.Begin(this);
        Machine.Accesses?.Release(round.SentThing);
        var costs = Machine.Costs;
        var (sendCycles, latencyCycles, jitter) = (costs.IpiSend.Cycles, costs.IpiLatency.Cycles, (int)costs.IpiJitter.Cycles);
        var isUnseen = round.Function.IsSyncCore && IsSyncCoreUnseen;
        var (wakingCycles, handlerCycles, exitCycles) = (costs.IdleExit.Cycles, costs.InterruptEntry.Cycles + costs.Serialise.Cycles, costs.InterruptExit.Cycles);
        var accounts = Machine.Accounts.Running;
        var (clock, targets) = (ClockCycles, 0);
        foreach (var target in Machine.AllCpus)
        {
            if (target == this || target.Activity == CpuActivity.Parked || round.Only?.Invoke(target) == false) continue;
            clock += sendCycles;
            targets++;
            var latency = latencyCycles + (jitter > 0 ? Machine.Choices.Choose(ChoicePoint.IpiLatency, jitter + 1) : 0);
            if (isUnseen && target.IsHaltedOnly)
            {
                var entered = Math.Max(target.ClockCycles, clock + latency) + wakingCycles;
                target.SyncCoreUnseen(entered + handlerCycles + exitCycles);
                round.NoteAcknowledged(entered + handlerCycles);
                ref var account = ref accounts[target.Id.Index];
                account.IpisTaken++;
                account.HandlerCycles += handlerCycles + exitCycles;
                continue;
            }

            round.Pending++;
            target.Receive(new(clock + latency, round));
        }

        round.Targets = targets;
        accounts[Id.Index].IpisSent += targets;
    }

    /// <summary>True on a CPU that does nothing but wait for an interrupt, and will take the next one as it lands.</summary>
    private bool IsHaltedOnly
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Activity == CpuActivity.Idle && _routines.Count == 0 && _pendingIpis.Count == 0 && InterruptsEnabled;
    }

    /// <summary>True where all that an IPI with sync_core() leaves behind on a halted CPU is its clock, its account, and that it has serialised: nobody listens or explores.</summary>
    private bool IsSyncCoreUnseen => Machine.Accesses is null && !Machine.Events.WantsInterrupts && Machine.Fetch.Serialises(SerialisingEvents.Instruction);

    /// <summary>A halted CPU takes an IPI with sync_core() and halts again, with nobody looking on: what <see cref="Receive"/> would come to.</summary>
    /// <param name="leftClockCycles">When it halts again.</param>
    private void SyncCoreUnseen(long leftClockCycles)
    {
        DrainStores();
        Machine.Versions.Serialise(Id);
        ClockCycles = leftClockCycles;
    }

    private void Receive(PendingIpi ipi)
    {
        if (IsHaltedOnly && ipi.Round.Function.IsIndivisible)
        {
            // A halted CPU has no instruction with which to observe, or be observed in, the time until the IPI lands: taking it
            // here and now gives the same clocks and the same versions as taking it in its turn, and costs a tenth.
            ClockCycles = Math.Max(ClockCycles, ipi.ArrivalCycles) + Machine.Costs.IdleExit.Cycles;
            Enter(ipi.Round);
            return;
        }

        var at = _pendingIpis.Count;
        while (at > 0 && _pendingIpis[at - 1].ArrivalCycles > ipi.ArrivalCycles) at--;
        _pendingIpis.Insert(at, ipi);

        // Guest code goes on as soon as it could before.
        if (IsBareGuest) State->IsPlainGuest = 0;
        else Machine.Reconsider(this);
    }

    /// <summary>Waits, halted or spinning, for the next IPI and takes it; false when none is under way or interrupts are off.</summary>
    private bool AwaitIpi()
    {
        if (_pendingIpis.Count == 0 || !InterruptsEnabled) return false;
        var arrival = _pendingIpis[0].ArrivalCycles;
        if (arrival > ClockCycles)
        {
            if (arrival >= Machine.RunLimitCycles) return false;
            if (_routines.Count > 0) Account.WaitCycles += arrival - ClockCycles;
            ClockCycles = arrival;
        }

        if (_routines.Count == 0) ClockCycles += Machine.Costs.IdleExit.Cycles;
        TakeIpi();
        return true;
    }

    private void TakeIpi()
    {
        var round = _pendingIpis[0].Round;
        _pendingIpis.RemoveAt(0);
        if (Activity == CpuActivity.Halted) Activity = CpuActivity.Guest;
        Enter(round);
    }

    private void Enter(IpiRound round)
    {
        var entered = ClockCycles;
        ref var account = ref Account;
        account.IpisTaken++;
        ClockCycles += Machine.Costs.InterruptEntry.Cycles;
        Serialise(SerialisingEvents.InterruptDelivery);
        if (Machine.Events.WantsIpis) Machine.Events.RaiseIpiTaken(this, round);
        InterruptsEnabled = false;
        if (round.Function.IsIndivisible)
        {
            ClockCycles += round.Function.Call(this);
            round.Acknowledge(ClockCycles);
            LeaveInterrupt(entered);
            return;
        }

        var steps = round.Function.Steps(this) ?? throw new InvalidOperationException($"{round.Function.Name} is not indivisible and has no steps");
        _routines.Add(new(round.Function.Name, steps.GetEnumerator(), RoutineKind.Interrupt) { Round = round, EnteredClockCycles = entered });
    }

    /// <summary>The interrupt that is being handled ends without IRET: its handler has switched to a task that had come in by SYSCALL, and that goes back by SYSRET.</summary>
    /// <exception cref="InvalidOperationException">No interrupt is being handled.</exception>
    public void LeaveBySystemReturn()
    {
        var handler = _routines.FindLast(r => r.Kind is RoutineKind.Interrupt or RoutineKind.DeviceInterrupt) ?? throw new InvalidOperationException($"{Id} handles no interrupt");
        handler.LeavesBySystemReturn = true;
    }

    private void LeaveInterrupt(long enteredClockCycles, bool bySystemReturn = false)
    {
        ClockCycles += Machine.Costs.InterruptExit.Cycles;
        Serialise(bySystemReturn ? SerialisingEvents.SystemReturn : SerialisingEvents.InterruptReturn);
        InterruptsEnabled = true;
        Account.HandlerCycles += ClockCycles - enteredClockCycles;
        Machine.Events.RaiseHandlerLeft(this, enteredClockCycles, null);
    }
}
