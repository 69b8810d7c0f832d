using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LivePatchLab.Machine;

/// <summary>Guest code: running it, and what to do when the interpreter comes back.</summary>
public sealed unsafe partial class Cpu
{
    /// <summary>So that a lone CPU with nobody to wait for still looks up now and then.</summary>
    private const long RunInstructionsMax = 1_000_000;

    /// <summary>True when there is nothing on this CPU but guest code.</summary>
    internal bool IsPlainGuest
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Activity == CpuActivity.Guest && _routines.Count == 0 && _pendingIpis.Count == 0;
    }

    /// <summary>Has the host fetch what a turn of this CPU begins with, while another CPU has its turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Prefetch()
    {
        if (!Sse.IsSupported) return;
        var state = (byte*)State;
        Sse.Prefetch0(state);
        Sse.Prefetch0(state + 64);
        Sse.Prefetch0(state + 128);
        Sse.Prefetch0(state + 192);
        Sse.Prefetch0(state + 256);
        Sse.Prefetch0(Machine.Memory.Origin + (uint)State->Registers[Gpr.Rsp]);
    }

    private void RunGuest()
    {
        var until = Machine.RunLimitCycles;
        if (_pendingIpis.Count > 0 && InterruptsEnabled) until = Math.Min(until, _pendingIpis[0].ArrivalCycles);
        var perInstruction = Machine.InstructionCycles;
        var left = until - ClockCycles;
        // A division would take longer than a short quantum.
        var instructions = Math.Clamp(perInstruction == 1 ? left : (left + perInstruction - 1) / perInstruction, 1, RunInstructionsMax);
        if (Machine.Events.WantsRetired) instructions = 1;
        var pacer = Machine.Pacer;
        if (pacer is not null && !pacer.Admits(this, ref instructions)) return;

        var rip = State->Rip;
        State->Clock = ClockCycles;
        var retired = Machine.Interpreter.Run(State, instructions);
        RetiredInstructions += retired;
        ClockCycles += retired * perInstruction;
        if (retired > 0 && Machine.Events.WantsRetired) Machine.Events.RaiseRetired(this, new(rip));

        if (State->Exit != ExecutionExit.Budget) AfterGuest(perInstruction);
        pacer?.NoteRetired(this, retired);
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
