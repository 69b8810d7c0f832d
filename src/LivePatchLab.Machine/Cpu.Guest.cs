using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>Guest code: running it, and what to do when the interpreter comes back.</summary>
public sealed unsafe partial class Cpu
{
    /// <summary>So that a lone CPU with nobody to wait for still looks up now and then.</summary>
    internal const long RunInstructionsMax = 1_000_000;

    /// <summary>True when there is nothing on this CPU but guest code.</summary>
    internal bool IsPlainGuest
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => IsBareGuest && _pendingIpis.Count == 0;
    }

    /// <summary>True when it executes guest code, whatever is on its way to it.</summary>
    private bool IsBareGuest
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Activity == CpuActivity.Guest && _routines.Count == 0;
    }

    /// <summary>Tells whoever decides about turns, who reads the state and nothing else, whether this is still so.</summary>
    internal void NotePlain() => State->IsPlainGuest = IsPlainGuest ? 1 : 0;

    /// <summary>The instructions that take so many cycles, or more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static long InstructionsFor(long cycles, long perInstruction)
        // A division would take longer than a short quantum.
        => perInstruction == 1 ? cycles : (cycles + perInstruction - 1) / perInstruction;

    private void RunGuest()
    {
        var machine = Machine;
        var until = machine.RunLimitCycles;
        if (_pendingIpis.Count > 0 && InterruptsEnabled) until = Math.Min(until, _pendingIpis[0].ArrivalCycles);
        var instructions = Math.Clamp(InstructionsFor(until - ClockCycles, machine.InstructionCycles), 1, RunInstructionsMax);
        if (machine.IsGuestUnseen(State) && machine.Interpreter.Native is { } native && native.TryStay(State, instructions))
        {
            if (native.HasRetiredAll(State)) Count(instructions);
            else CountAfterStay(machine.Interpreter.EndStay(State), instructions);
            return;
        }

        if (machine.Events.WantsRetired) instructions = 1;
        var pacer = machine.Pacer;
        if (pacer is not null && !pacer.Admits(this, ref instructions)) return;

        var rip = State->Rip;
        var retired = machine.Interpreter.Run(State, instructions);
        Count(retired);
        if (retired > 0 && machine.Events.WantsRetired) machine.Events.RaiseRetired(this, new(rip));

        if (State->Exit != ExecutionExit.Budget) AfterGuest(machine.InstructionCycles);
        pacer?.NoteRetired(this, retired);
    }

    private void Count(long retired)
    {
        RetiredInstructions += retired;
        ClockCycles += retired * Machine.InstructionCycles;
    }

    /// <summary>Does what an instruction asks of the machine around it.</summary>
    private void AfterGuest(long perInstruction)
    {
        switch (State->Exit)
        {
            case ExecutionExit.Trap:
                TakeTrap();
                break;
            case ExecutionExit.Halt:
                if (!TryFinishGuestCall()) Activity = CpuActivity.Halted;
                break;
            case ExecutionExit.Syscall:
                Machine.DoSystemCall(this);
                Serialise(SerialisingEvents.SystemReturn);
                break;
            case ExecutionExit.SystemReturn:
                Serialise(SerialisingEvents.SystemReturn);
                break;
            case ExecutionExit.Serialised:
                Serialise(SerialisingEvents.Instruction);
                break;
            case ExecutionExit.InterruptReturn:
                Serialise(SerialisingEvents.InterruptReturn);
                break;
            case ExecutionExit.Repeating:
                // A long REP is interruptible, and each slice of it takes the time of one instruction, so that others get their turn.
                ClockCycles += perInstruction;
                break;
            case ExecutionExit.Budget:
            case ExecutionExit.InterruptsEnabled:
            case ExecutionExit.CodeStored:
                break;
        }
    }

    private void TakeTrap()
    {
        var vector = (TrapVector)State->TrapVector;
        ref var account = ref Account;
        account.Traps++;
        if (vector == TrapVector.Breakpoint) account.Breakpoints++;
        var frame = new TrapFrame
        {
            Vector = vector,
            ErrorCode = State->TrapErrorCode,
            FaultAddress = new(State->TrapAddress),
            Rip = new(State->Rip),
            Rflags = Rflags,
            Rsp = new(State->Registers[4]),
        };
        var entered = ClockCycles;
        var handler = Machine.TrapHandlers[(int)vector];
        if (handler is null)
        {
            Machine.Events.RaiseTrapped(this, frame);
            Die(frame);
            return;
        }

        ClockCycles += Machine.Costs.BreakpointEntry.Cycles;
        Serialise(SerialisingEvents.InterruptDelivery);
        Machine.Events.RaiseTrapped(this, frame);
        var enabled = InterruptsEnabled;
        if (vector != TrapVector.Breakpoint || Machine.Fetch.BreakpointGate == GateType.Interrupt) InterruptsEnabled = false;
        _routines.Add(new(vector.Mnemonic(), handler(this, frame).GetEnumerator(), RoutineKind.Trap)
        {
            Frame = frame,
            InterruptsWereEnabled = enabled,
            EnteredClockCycles = entered,
        });
    }

    private void FinishTrap(KernelRoutine routine)
    {
        var frame = routine.Frame!;
        if (!frame.Consumed)
        {
            Die(frame);
            return;
        }

        ClockCycles += Machine.Costs.InterruptExit.Cycles;
        Serialise(SerialisingEvents.InterruptReturn);

        // Any IRET lets the next NMI in, that of an exception taken inside an NMI's handler too (SDM volume 3, "Handling Multiple NMIs").
        IsNmiBlocked = false;
        Rip = frame.Rip;
        State->Registers[4] = frame.Rsp.Value;
        Rflags = frame.Rflags;
        InterruptsEnabled = routine.InterruptsWereEnabled;
        Account.HandlerCycles += ClockCycles - routine.EnteredClockCycles;
        Machine.Events.RaiseHandlerLeft(this, routine.EnteredClockCycles, frame.Vector);
    }

    private void Die(TrapFrame frame)
    {
        var rip = frame.Vector == TrapVector.Breakpoint ? frame.Rip - 1 : frame.Rip;
        Machine.Stop(new GuestFault(Id, frame.Vector, frame.ErrorCode, rip, frame.FaultAddress, ClockCycles));
    }
}
