using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>What a CPU does when no kernel routine runs on it.</summary>
public enum CpuActivity
{
    /// <summary>Halted with interrupts on, as in the kernel's idle loop: an interrupt wakes it for its handler only.</summary>
    Idle,

    /// <summary>Executes guest code.</summary>
    Guest,

    /// <summary>Has executed HLT: the next interrupt lets the guest code go on.</summary>
    Halted,

    /// <summary>Offline: takes no interrupts and never runs again.</summary>
    Parked,
}

/// <summary>
/// One CPU: its registers, its own clock, and what runs on it. Guest code (or idling) is at the bottom; kernel routines stack on
/// top of it as tasks, interrupts and exceptions do.
/// </summary>
public sealed unsafe partial class Cpu
{
    private const uint InterruptFlagBit = 1u << 9;

    private readonly List<KernelRoutine> _routines = [];
    private readonly List<PendingIpi> _pendingIpis = [];

    internal Cpu(SmpMachine machine, CpuId id, CpuState* state)
    {
        Machine = machine;
        Id = id;
        State = state;
        InterruptsEnabled = true;
    }

    public CpuId Id { get; }

    public SmpMachine Machine { get; }

    /// <summary>The CPU's own time, in cycles since the machine was made.</summary>
    public long ClockCycles
    {
        get => State->Clock;
        internal set => State->Clock = value;
    }

    public CpuActivity Activity { get; private set; }

    /// <summary>RFLAGS.IF</summary>
    public bool InterruptsEnabled
    {
        get => (State->SystemFlags & InterruptFlagBit) != 0;
        internal set => State->SystemFlags = value ? State->SystemFlags | InterruptFlagBit : State->SystemFlags & ~InterruptFlagBit;
    }

    /// <summary>The address of the next guest instruction.</summary>
    public GuestAddress Rip
    {
        get => new(State->Rip);
        set
        {
            State->Rip = value.Value;
            State->Current = null;
            RepeatedString.End(State);
        }
    }

    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 … R15, in the order of their encoding.</summary>
    public Span<ulong> Registers => MemoryMarshal.CreateSpan(ref State->Registers[0], 16);

    /// <summary>Base of the gs segment: per-CPU data, in a kernel.</summary>
    public GuestAddress GsBase
    {
        get => new(State->GsBase);
        set => State->GsBase = value.Value;
    }

    /// <summary>Base of the fs segment.</summary>
    public GuestAddress FsBase
    {
        get => new(State->FsBase);
        set => State->FsBase = value.Value;
    }

    public ulong Rflags
    {
        get => Interpreter.ReadFlags(State);
        set => Interpreter.WriteFlags(State, value);
    }

    /// <summary>The instruction at RIP as memory holds it: "increment+0x4 (401136): incl (%rdi)".</summary>
    public string DescribeNext()
    {
        var next = new InstructionText(Machine.CodeMap).At(Machine.Memory, Rip);
        return $"{(Machine.CodeMap?.NameOf(Rip) is { } name ? $"{name} ({Rip})" : Rip)}: {next?.Text ?? "nothing is mapped there"}";
    }

    /// <summary>Guest instructions retired so far.</summary>
    public long RetiredInstructions
    {
        get => State->Retired;
        private set => State->Retired = value;
    }

    /// <summary>The kernel routine that runs now, or null.</summary>
    public KernelRoutine? Routine => _routines.Count > 0 ? _routines[^1] : null;

    /// <summary>Function-call IPIs that have been sent to this CPU and not been taken.</summary>
    public int PendingIpiCount => _pendingIpis.Count;

    internal CpuState* State { get; }

    /// <summary>The account of the phase that is on.</summary>
    internal ref CpuAccount Account
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref Machine.Accounts.Running[Id.Index];
    }

    /// <summary>Has the CPU execute guest code.</summary>
    /// <param name="rip">The first instruction.</param>
    /// <param name="stackTop">RSP at the start.</param>
    /// <param name="isUser">True for a program at privilege level 3, false for the kernel's code at level 0.</param>
    public void StartGuest(GuestAddress rip, GuestAddress stackTop, bool isUser = false)
    {
        State->UserMode = isUser ? 1 : 0;
        Rip = rip;
        State->Registers[4] = stackTop.Value;
        Activity = CpuActivity.Guest;
        Machine.Reconsider(this);
    }

    /// <summary>Has the CPU halt in its idle loop once its routines are done.</summary>
    public void StopGuest()
    {
        SingleStep.EndShadow(State);
        if (Activity != CpuActivity.Parked) Activity = CpuActivity.Idle;
        Machine.Reconsider(this);
    }

    /// <summary>Takes the CPU offline for good.</summary>
    public void Park()
    {
        Activity = CpuActivity.Parked;
        Machine.Versions.TakeOffline(Id);
        Machine.Reconsider(this);
    }

    /// <summary>Starts kernel code on this CPU, in the place of whatever it did before.</summary>
    /// <param name="name">For traces and messages.</param>
    /// <param name="steps">The routine.</param>
    public KernelRoutine Start(string name, IEnumerable<KernelStep> steps)
    {
        SingleStep.EndShadow(State);
        var routine = new KernelRoutine(name, steps.GetEnumerator(), RoutineKind.Task) { InterruptsWereEnabled = InterruptsEnabled };
        _routines.Add(routine);
        Machine.Reconsider(this);
        return routine;
    }

    /// <summary>An event of a kind that may serialise has happened on this CPU: where the fetch model says so, it forgets older code.</summary>
    public void Serialise(SerialisingEvents what)
    {
        RepeatedString.End(State);
        if (!Machine.Fetch.Serialises(what))
        {
            if (what == SerialisingEvents.Instruction) return;
            if (Machine.Accesses is { } log && Machine.Versions.FollowsEveryInstruction) log.Write(AccessLog.FloorOf(Id.Index));
            Machine.Versions.Redirect(Id);
            return;
        }

        DrainStores();
        Machine.Accesses?.Write(AccessLog.FloorOf(Id.Index));
        Machine.Versions.Serialise(Id);
    }

    /// <summary>Makes the running routine wait until <see cref="Wake"/>. Called from <see cref="KernelStep.Execute"/>.</summary>
    /// <returns>What to pass to <see cref="Wake"/>.</returns>
    public KernelRoutine Block()
    {
        var routine = _routines[^1];
        routine.IsBlocked = true;
        routine.MustResume = true;
        return routine;
    }

    /// <summary>Ends the wait of a routine on this CPU.</summary>
    /// <param name="routine">What <see cref="Block"/> returned.</param>
    /// <param name="clockCycles">When what it waited for became visible to this CPU.</param>
    public void Wake(KernelRoutine routine, long clockCycles)
    {
        Machine.Accesses?.Release(AccessLog.WakeOf(Id.Index));
        routine.IsBlocked = false;
        routine.WakeClockCycles = clockCycles;
        Machine.Reconsider(this);
    }

    /// <summary>The clock at which this CPU can next do anything, or null while it waits for others or for ever.</summary>
    internal long? ReadyClock
    {
        get
        {
            if (Activity == CpuActivity.Parked && _routines.Count == 0) return null;
            if (_routines.Count > 0)
            {
                var routine = _routines[^1];
                if (routine.BusyCycles > 0) return BusyUntil(routine);
                if (!routine.IsBlocked) return Math.Max(ClockCycles, routine.MustResume ? routine.WakeClockCycles : 0);
            }
            else if (Activity == CpuActivity.Guest)
            {
                return ClockCycles;
            }

            return _pendingIpis.Count > 0 && InterruptsEnabled ? Math.Max(ClockCycles, _pendingIpis[0].ArrivalCycles) : null;
        }
    }

    /// <summary>True when a routine of this CPU waits for something.</summary>
    internal bool IsWaiting => _routines.Exists(r => r.IsBlocked);

    /// <summary>Runs until the clock reaches the machine's limit, or nothing is left to do.</summary>
    internal void Run()
    {
        // What most turns are, without the questions that the others need.
        while (IsPlainGuest)
        {
            RunGuest();
            if (ClockCycles >= Machine.RunLimitCycles) return;
        }

        do
        {
            if (_pendingIpis.Count > 0 && InterruptsEnabled && _pendingIpis[0].ArrivalCycles <= ClockCycles)
            {
                TakeIpi();
            }
            else if (_routines.Count > 0)
            {
                var routine = _routines[^1];
                if (routine.BusyCycles > 0)
                {
                    if (!KeepBusy(routine)) return;
                }
                else if (routine.Kind == RoutineKind.GuestCall) RunGuest();
                else if (!routine.IsBlocked) Step(routine);
                else if (!AwaitIpi()) return;
            }
            else if (Activity == CpuActivity.Guest)
            {
                RunGuest();
            }
            else if (Activity == CpuActivity.Parked || !AwaitIpi())
            {
                return;
            }
        }
        while (ClockCycles < Machine.RunLimitCycles);
    }

    internal void AddTo(ref StateHasher hasher)
    {
        for (var i = 0; i < 16; i++) hasher.Add(State->Registers[i]);
        hasher.Add(State->Rip);
        hasher.Add(Rflags);
        hasher.Add(State->FsBase);
        hasher.Add(State->GsBase);
        hasher.Add(ClockCycles);
        hasher.Add(RetiredInstructions);
        hasher.Add((ulong)Activity);
    }

    /// <summary>Does steps of a routine for as long as there is nothing else to look at: to the end of the turn, a wait, an IPI, guest code that it calls, or its own end.</summary>
    private void Step(KernelRoutine routine)
    {
        if (routine.MustResume)
        {
            routine.MustResume = false;
            if (routine.WakeClockCycles > ClockCycles)
            {
                Account.WaitCycles += routine.WakeClockCycles - ClockCycles;
                ClockCycles = routine.WakeClockCycles;
            }

            routine.BusyCycles = routine.Current.Resume(this);
            return;
        }

        var machine = Machine;
        var depth = _routines.Count;
        do
        {
            if (!routine.MoveNext())
            {
                Finish(routine);
                return;
            }

            if (machine.Events.WantsSteps) machine.Events.RaiseStepped(this, routine);
            var busy = routine.Current.Execute(this);

            // The common case of what KeepBusy does: the step ends within the CPU's turn, uninterrupted.
            if (_pendingIpis.Count > 0 || ClockCycles + busy > machine.RunLimitCycles)
            {
                routine.BusyCycles = busy;
                return;
            }

            ClockCycles += busy;
        }
        while (ClockCycles < machine.RunLimitCycles && !routine.MustResume && _routines.Count == depth);
    }

    /// <summary>The clock at which the step that is being done is done, or is interrupted.</summary>
    private long BusyUntil(KernelRoutine routine)
    {
        var until = ClockCycles + routine.BusyCycles;
        return _pendingIpis.Count > 0 && InterruptsEnabled ? Math.Min(until, Math.Max(ClockCycles, _pendingIpis[0].ArrivalCycles)) : until;
    }

    /// <summary>
    /// Spends the time of a step, up to its end or to an interrupt; false while neither lies within the CPU's turn. A step that is
    /// being done shows nothing to others, so the CPU need not be asked again before then, however long that is.
    /// </summary>
    private bool KeepBusy(KernelRoutine routine)
    {
        var until = BusyUntil(routine);
        if (until > Machine.RunLimitCycles) return false;
        routine.BusyCycles -= until - ClockCycles;
        ClockCycles = until;
        return true;
    }

    /// <summary>Lets the clock of a CPU in the middle of a step come up to where a run ends.</summary>
    internal void SpendUntil(long clockCycles)
    {
        if (Routine is not { BusyCycles: > 0 } routine || clockCycles <= ClockCycles) return;
        var spent = Math.Min(routine.BusyCycles, clockCycles - ClockCycles);
        routine.BusyCycles -= spent;
        ClockCycles += spent;
    }

    private void Finish(KernelRoutine routine)
    {
        _routines.RemoveAt(_routines.Count - 1);
        switch (routine.Kind)
        {
            case RoutineKind.Interrupt:
                routine.Round!.Acknowledge(ClockCycles);
                LeaveInterrupt(routine.EnteredClockCycles, routine.LeavesBySystemReturn);
                break;
            case RoutineKind.DeviceInterrupt:
                LeaveInterrupt(routine.EnteredClockCycles, routine.LeavesBySystemReturn);
                break;
            case RoutineKind.NonMaskableInterrupt:
                FinishNmi(routine);
                break;
            case RoutineKind.Trap:
                FinishTrap(routine);
                break;
            case RoutineKind.Task:
                InterruptsEnabled = routine.InterruptsWereEnabled;
                break;
        }

        routine.CompletedClockCycles = ClockCycles;
        routine.IsComplete = true;
        Machine.NoteCompleted(routine);
    }
}
