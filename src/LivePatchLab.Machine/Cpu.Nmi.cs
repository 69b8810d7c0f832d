namespace LivePatchLab.Machine;

/// <summary>Non-maskable interrupts, and functions of the guest that a kernel routine calls.</summary>
public sealed unsafe partial class Cpu
{
    /// <summary>
    /// What lies at the top of the NMI's stack. Every NMI writes its frame there (the stack is switched by the IST), whether the one before
    /// has returned or not.
    /// </summary>
    private TrapFrame? _nmiFrame;

    /// <summary>True from the delivery of an NMI to the next IRET, whoever executes it (Intel SDM volume 3, "Handling Multiple NMIs").</summary>
    public bool IsNmiBlocked { get; private set; }

    /// <summary>The NMI's handler that runs now copies its frame to where no other NMI writes.</summary>
    /// <exception cref="InvalidOperationException">No NMI is being handled.</exception>
    public void KeepNmiFrame()
    {
        var handler = _routines.FindLast(r => r.Kind == RoutineKind.NonMaskableInterrupt) ?? throw new InvalidOperationException($"{Id} handles no NMI");
        handler.HasOwnFrame = true;
    }

    internal void EnterGuestCall(GuestAddress function)
    {
        if (Machine.GuestCallReturn == default) throw new InvalidOperationException("a kernel routine calls guest code, but the machine does not know where such calls return to");
        _routines.Add(new("call", Enumerable.Empty<KernelStep>().GetEnumerator(), RoutineKind.GuestCall) { SetAside = SaveGuest() });

        // Below the red zone of whatever was interrupted.
        var stack = ((State->Registers[4] - 128) & ~15UL) - 8;
        if (Activity != CpuActivity.Guest) State->UserMode = 0;
        Machine.Memory.LoadUInt64(new(stack), Machine.GuestCallReturn.Value);
        State->Registers[4] = stack;
        Rip = function;
        Machine.Reconsider(this);
    }

    /// <summary>A frame that has been overwritten is not this NMI's: IRET goes to where the other one came in.</summary>
    private void FinishNmi(KernelRoutine routine)
    {
        ClockCycles += Machine.Costs.InterruptExit.Cycles;
        Serialise(SerialisingEvents.InterruptReturn);
        IsNmiBlocked = false;
        if (!routine.HasOwnFrame && _nmiFrame != routine.Frame)
        {
            Machine.Stop(new(Id, TrapVector.NonMaskableInterrupt, 0, Rip, default, ClockCycles));
            return;
        }

        InterruptsEnabled = routine.InterruptsWereEnabled;
        Account.HandlerCycles += ClockCycles - routine.EnteredClockCycles;
        Machine.Events.RaiseHandlerLeft(this, routine.EnteredClockCycles, TrapVector.NonMaskableInterrupt);
    }

    private void EnterNmi(string name, IEnumerable<KernelStep> steps)
    {
        var entered = ClockCycles;
        ClockCycles += Machine.Costs.InterruptEntry.Cycles;
        Serialise(SerialisingEvents.InterruptDelivery);
        var frame = new TrapFrame { Vector = TrapVector.NonMaskableInterrupt, Rip = Rip, Rflags = Rflags, Rsp = new(State->Registers[4]) };
        _nmiFrame = frame;
        IsNmiBlocked = true;
        Machine.Events.RaiseTrapped(this, frame);
        var enabled = InterruptsEnabled;
        InterruptsEnabled = false;
        _routines.Add(new(name, steps.GetEnumerator(), RoutineKind.NonMaskableInterrupt) { Frame = frame, InterruptsWereEnabled = enabled, EnteredClockCycles = entered });
    }

    private bool TryFinishGuestCall()
    {
        if (_routines.Count == 0 || _routines[^1] is not { Kind: RoutineKind.GuestCall, SetAside: { } before } || State->Rip != (Machine.GuestCallReturn + 1).Value) return false;
        _routines.RemoveAt(_routines.Count - 1);
        before.RestoreTo(this);
        return true;
    }
}
