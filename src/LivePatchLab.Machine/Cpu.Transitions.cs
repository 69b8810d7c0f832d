using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>A CPU of a machine that is explored: what it can do next, and doing it.</summary>
public sealed unsafe partial class Cpu
{
    // What a loop's state is: sixteen registers, RFLAGS, and the oldest code that the CPU may still be given.
    private const int LoopFlags = 16, LoopFloor = 17, LoopWords = 18;

    /// <summary>Work that nobody can notice is done together with what comes after it, up to this many steps and instructions.</summary>
    private const int QuietWorkMax = 200;

    /// <summary>The most that one store of guest code changes; how much it was is not known any more when it is noted.</summary>
    private const int CodeStoreBytesMax = 16;

    private readonly List<ArmedInterrupt> _armed = [];
    private readonly StoreBuffer _storeBuffer = new();
    private int _armedCount;

    /// <summary>Guest code that would only do again what it did: it goes on when somebody else has done something.</summary>
    private bool _isStuttering;
    private bool _hasRunQueueOut;
    private ulong _loopHead;
    private LoopState _loopHeadState;
    private long _loopHeadForeignActs;
    private long _ownActs;
    private uint _rounds;

    /// <summary>True while guest code spins on what nobody has changed since it looked last.</summary>
    public bool IsSpinning => _isStuttering && Machine.ForeignActs(this) == _loopHeadForeignActs;

    /// <summary>True when a routine or guest code runs here, or would if it did not have to wait.</summary>
    public bool IsBusy => _routines.Count > 0 || Activity == CpuActivity.Guest;

    /// <summary>True when what runs here waits for something, or spins on it: for ever, once nobody else can go on.</summary>
    public bool IsWaitingForever => IsWaiting || (RunsGuest && IsSpinning);

    /// <summary>
    /// Lets an interrupt come in at any time from now on, once: exploration decides when. Its handler runs with interrupts off. Only a machine
    /// that is explored takes it.
    /// </summary>
    /// <param name="name">For traces.</param>
    /// <param name="handler">Its steps.</param>
    /// <param name="isNmi">A non-maskable one comes in whatever RFLAGS.IF says, unless another is being handled.</param>
    public void ArmInterrupt(string name, Func<Cpu, IEnumerable<KernelStep>> handler, bool isNmi = false)
    {
        _armed.Add(new(name, handler, isNmi, ++_armedCount));
        Machine.NoteArmed();
    }

    /// <summary>The registers of the guest code that this CPU executes, to be set aside.</summary>
    public GuestContext SaveGuest() => new(this);

    /// <summary>Has the CPU go on with guest code that was set aside.</summary>
    public void RestoreGuest(GuestContext context) => context.RestoreTo(this);

    /// <summary>The store that such a transition lets out of the buffer, in words.</summary>
    public string DescribeDrain(Transition transition) => _storeBuffer.Describe(transition.Slot);

    /// <summary>The name of the interrupt that such a transition takes.</summary>
    public string DescribeArmed(Transition transition) => _armed.Find(a => a.Slot == transition.Slot)?.Name ?? "";

    internal StoreBuffer StoreBuffer => _storeBuffer;

    /// <summary>Everything that waits in the store buffer becomes visible: what a locked operation, a barrier or a serialising instruction waits for.</summary>
    internal void DrainStores()
    {
        if (!_storeBuffer.IsEmpty) _storeBuffer.DrainAll(this);
    }

    internal void Buffer(BufferedStore store)
    {
        Machine.Accesses?.Write(AccessLog.StoreBufferOf(Id.Index));
        _storeBuffer.Add(store);
    }

    internal BufferedStore? YoungestStoreOf(object variable) => _storeBuffer.IsEmpty ? null : _storeBuffer.YoungestOf(variable);

    /// <summary>A number for a round of IPIs that this CPU begins, and the next number for its answers.</summary>
    internal uint NextRoundThing() => AccessLog.RoundOf(Id.Index, _rounds++);

    internal long OwnActs => _ownActs;

    internal void ResumeActivity(CpuActivity activity)
    {
        if (Activity != CpuActivity.Parked) Activity = activity;
        Machine.Reconsider(this);
    }

    /// <summary>This CPU has done something that others may see.</summary>
    internal void NoteAct()
    {
        _ownActs++;
        Machine.NoteAct();
    }

    /// <summary>Everything as before the first transition; registers and memory are restored by the machine.</summary>
    internal void Restart()
    {
        _routines.Clear();
        _pendingIpis.Clear();
        _armed.Clear();
        _armedCount = 0;
        _storeBuffer.Clear();
        _isStuttering = false;
        _hasRunQueueOut = false;
        _loopHead = 0;
        _ownActs = 0;
        _rounds = 0;
        ClockCycles = 0;
        RetiredInstructions = 0;
        IsNmiBlocked = false;
        _nmiFrame = null;
        Activity = CpuActivity.Idle;
        NotePlain();
    }

    /// <summary>No more than this can be done here next.</summary>
    internal int TransitionsMax => 2 + _armed.Count + _storeBuffer.Count;

    /// <summary>Gives how many there are.</summary>
    internal int CollectTransitions(Span<Transition> into)
    {
        var count = 0;
        if (CanStep) into[count++] = new(Id, TransitionKind.Step);
        if (Activity == CpuActivity.Parked) return count;
        if (_pendingIpis.Count > 0 && InterruptsEnabled) into[count++] = new(Id, TransitionKind.TakeIpi);
        if (!_storeBuffer.IsEmpty) count += _storeBuffer.CollectDrains(Id, Machine.MemoryOrder, into[count..]);
        for (var i = 0; i < _armed.Count; i++)
        {
            var armed = _armed[i];
            if (CanTake(armed)) into[count++] = new(Id, armed.IsNmi ? TransitionKind.TakeNmi : TransitionKind.TakeInterrupt, armed.Slot);
        }

        return count;
    }

    internal bool CanPerform(Transition transition) => transition.Kind switch
    {
        TransitionKind.Step => CanStep,
        TransitionKind.TakeIpi => Activity != CpuActivity.Parked && _pendingIpis.Count > 0 && InterruptsEnabled,
        TransitionKind.Drain => Activity != CpuActivity.Parked && _storeBuffer.CanDrain(transition.Slot, Machine.MemoryOrder),
        _ => Activity != CpuActivity.Parked && CanTakeArmed(transition.Slot),
    };

    internal void Perform(Transition transition)
    {
        var log = Machine.Accesses!;
        switch (transition.Kind)
        {
            case TransitionKind.Step:
                log.Read(AccessLog.WorkOf(Id.Index));
                DoQuietWorkAndOneAct(log);
                break;
            case TransitionKind.TakeIpi:
                var round = _pendingIpis[0].Round;
                log.Acquire(round.SentThing);
                log.Write(AccessLog.InterruptFlagOf(Id.Index));
                if (!round.Function.IsIndivisible) log.Write(AccessLog.WorkOf(Id.Index));
                if (_routines.Count == 0 && Activity is CpuActivity.Idle or CpuActivity.Halted) ClockCycles += Machine.Costs.IdleExit.Cycles;
                TakeIpi();
                break;
            case TransitionKind.Drain:
                log.Write(AccessLog.StoreBufferOf(Id.Index));
                _storeBuffer.Drain(this, transition.Slot);
                break;
            default:
                TakeArmed(transition.Slot, log);
                break;
        }
    }

    private bool CanStep => Routine is { } routine ? !routine.IsBlocked && !(routine.Kind == RoutineKind.GuestCall && IsSpinning) : Activity == CpuActivity.Guest && !IsSpinning;

    private bool CanTake(ArmedInterrupt armed) => armed.IsNmi ? !IsNmiBlocked : InterruptsEnabled;

    private bool CanTakeArmed(int slot)
    {
        foreach (var armed in _armed)
            if (armed.Slot == slot) return CanTake(armed);
        return false;
    }

    private bool RunsGuest => _routines.Count > 0 ? _routines[^1].Kind == RoutineKind.GuestCall : Activity == CpuActivity.Guest;

    private void DoQuietWorkAndOneAct(AccessLog log)
    {
        for (var i = 0; i < QuietWorkMax; i++)
        {
            var routine = Routine;
            if (routine is null ? Activity == CpuActivity.Guest : routine.Kind == RoutineKind.GuestCall)
            {
                var isAct = DoInstruction(log);
                if (Machine.Fetch.CaptureUnit == CaptureUnit.Block)
                {
                    // What comes next is captured when the next store happens: whether the CPU has come here before it counts.
                    NoteFetch(log, State->Rip, LineHistory.LineBytes);
                    return;
                }

                if (isAct) return;
            }
            else if (routine is null || routine.IsBlocked || DoStep(routine, log))
            {
                return;
            }

            // Where an interrupt may come in anywhere, every instruction is a place of its own.
            if (Machine.IsStopRequested || _armed.Count > 0) return;
        }
    }

    /// <summary>One step of a routine; true when another CPU could notice it.</summary>
    private bool DoStep(KernelRoutine routine, AccessLog log)
    {
        if (routine.MustResume)
        {
            routine.MustResume = false;
            log.Acquire(AccessLog.WakeOf(Id.Index));
            ClockCycles = Math.Max(ClockCycles, routine.WakeClockCycles);
            ClockCycles += routine.Current.Resume(this);
            return true;
        }

        if (routine.Next() is not { } step)
        {
            if (routine.Kind != RoutineKind.Task) log.Write(AccessLog.InterruptFlagOf(Id.Index));
            Finish(routine);
            return true;
        }

        if (Machine.Events.WantsSteps) Machine.Events.RaiseStepped(this, routine, step);
        var before = log.Notes;
        ClockCycles += step.Execute(this);
        if (log.Notes > before) return true;
        if (step.IsQuiet) return false;
        log.Write(AccessLog.AnyData);
        NoteAct();
        return true;
    }

    /// <summary>One guest instruction; true when another CPU could notice it, or it something of another's.</summary>
    private bool DoInstruction(AccessLog log)
    {
        var rip = State->Rip;
        var before = log.Notes;
        var retired = Machine.Interpreter.RunOne(State);
        NoteFetch(log, rip, Machine.Interpreter.LastLength);
        if (Machine.Versions.FollowsEveryInstruction) log.Write(AccessLog.FloorOf(Id.Index));
        NoteData(log, Machine.Interpreter.LastTouches);

        RetiredInstructions += retired;
        ClockCycles += retired * Machine.InstructionCycles;
        if (retired > 0 && Machine.Events.WantsRetired) Machine.Events.RaiseRetired(this, new(rip));
        if (State->Exit != ExecutionExit.Budget)
        {
            if (State->Exit == ExecutionExit.Trap) log.Write(AccessLog.InterruptFlagOf(Id.Index));
            if (State->Exit == ExecutionExit.CodeStored) Machine.NoteCodeStore(this, new(State->StoreAddress), CodeStoreBytesMax);
            AfterGuest(Machine.InstructionCycles);
            if (State->Exit != ExecutionExit.Repeating) return true;
        }

        if (State->Rip <= rip) NoteLoop();
        return log.Notes > before || _isStuttering;
    }

    /// <summary>Interrupts that came on or went off by STI, CLI and POPF are acts: others' IPIs wait for them.</summary>
    private void NoteData(AccessLog log, GuestTouches touches)
    {
        if ((touches & GuestTouches.Writes) != 0)
        {
            log.Write(AccessLog.AnyData);
            NoteAct();
        }
        else if ((touches & GuestTouches.Reads) != 0) log.Read(AccessLog.AnyData);
        if ((touches & GuestTouches.InterruptFlag) != 0) log.Write(AccessLog.InterruptFlagOf(Id.Index));
    }

    private void NoteFetch(AccessLog log, ulong rip, int length)
    {
        var last = rip + (ulong)Math.Max(0, length - 1);
        for (var line = rip >> 6; line <= last >> 6; line++)
        {
            if (!Machine.IsVolatile(line << 6)) continue;
            log.Read(AccessLog.LineOf(line << 6));
            log.Read(AccessLog.FloorOf(Id.Index));
        }
    }

    /// <summary>Code that has come back to where it was, as it was, with nobody else having done anything, will go on like that.</summary>
    private void NoteLoop()
    {
        Span<ulong> before = _loopHeadState;
        var (flags, floor) = (Rflags, (ulong)Machine.Versions.FloorOf(Id));
        var acts = Machine.ForeignActs(this);
        var repeats = _loopHead == State->Rip && _loopHeadForeignActs == acts && before[LoopFlags] == flags && before[LoopFloor] == floor && Registers.SequenceEqual(before[..LoopFlags]);

        // A queue that holds what was decoded runs out while the code goes round: once, it has gone round that often.
        if (repeats && !_hasRunQueueOut && Machine.Fetch.QueueDepth is { } depth)
        {
            RetiredInstructions += depth;
            (_hasRunQueueOut, repeats) = (true, false);
        }
        else if (!repeats)
        {
            _hasRunQueueOut = false;
        }

        _isStuttering = repeats;
        (_loopHead, _loopHeadForeignActs) = (State->Rip, acts);
        if (repeats) return;
        Registers.CopyTo(before);
        (before[LoopFlags], before[LoopFloor]) = (flags, floor);
    }

    private void TakeArmed(int slot, AccessLog log)
    {
        var at = _armed.FindIndex(a => a.Slot == slot);
        var armed = _armed[at];
        _armed.RemoveAt(at);
        log.Write(AccessLog.InterruptFlagOf(Id.Index));
        log.Write(AccessLog.WorkOf(Id.Index));
        if (armed.IsNmi)
        {
            EnterNmi(armed.Name, armed.Handler(this));
            return;
        }

        if (Activity == CpuActivity.Halted) Activity = CpuActivity.Guest;
        ClockCycles += Machine.Costs.InterruptEntry.Cycles;
        Serialise(SerialisingEvents.InterruptDelivery);
        InterruptsEnabled = false;
        _routines.Add(new(armed.Name, armed.Handler(this).GetEnumerator(), RoutineKind.DeviceInterrupt) { EnteredClockCycles = ClockCycles });
    }

    [InlineArray(LoopWords)]
    private struct LoopState
    {
        private ulong _first;
    }
}
