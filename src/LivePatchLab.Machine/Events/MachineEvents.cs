namespace LivePatchLab.Machine;

/// <summary>A step of a kernel routine is about to be done.</summary>
public readonly record struct StepEvent(CpuId Cpu, long ClockCycles, KernelRoutine Routine, KernelStep Step);

/// <summary>An exception has been delivered.</summary>
public readonly record struct TrapEvent(CpuId Cpu, long ClockCycles, TrapFrame Frame);

/// <summary>A function-call IPI has been taken. The sender began to send at <paramref name="SentClockCycles"/>, by its own clock.</summary>
public readonly record struct IpiEvent(CpuId From, CpuId To, long ClockCycles, IpiFunction Function, long SentClockCycles);

/// <summary>A CPU has left the handler of an exception, or, where the vector is null, of a function-call IPI.</summary>
public readonly record struct HandlerLeftEvent(CpuId Cpu, long EnteredClockCycles, long ClockCycles, TrapVector? Vector);

/// <summary>Bytes of code have been stored.</summary>
public readonly record struct CodeStoredEvent(CpuId Cpu, long ClockCycles, GuestAddress Address, int Length);

/// <summary>A guest instruction has retired; RIP is its own address.</summary>
public readonly record struct RetiredEvent(CpuId Cpu, long ClockCycles, GuestAddress Rip);

/// <summary>A CPU has fetched, from a dirty line, an instruction that it will now execute.</summary>
public delegate void DirtyFetchHandler(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence);

/// <summary>What a machine tells those who ask. An event that nobody subscribed to costs one test; none changes the run.</summary>
public sealed class MachineEvents
{
    private DirtyFetchHandler? _dirtyFetched;

    public event Action<StepEvent>? Stepped;

    public event Action<TrapEvent>? Trapped;

    public event Action<IpiEvent>? IpiTaken;

    public event Action<HandlerLeftEvent>? HandlerLeft;

    public event Action<CodeStoredEvent>? CodeStored;

    /// <summary>Each guest instruction, one by one: a subscriber makes guest code run at the pace of single steps.</summary>
    public event Action<RetiredEvent>? Retired;

    /// <summary>Each fetch from a dirty line, with the bytes that this CPU was given.</summary>
    public event DirtyFetchHandler? DirtyFetched
    {
        add
        {
            _dirtyFetched += value;
            DirtyFetchSubscribersChanged?.Invoke(_dirtyFetched is not null);
        }
        remove
        {
            _dirtyFetched -= value;
            DirtyFetchSubscribersChanged?.Invoke(_dirtyFetched is not null);
        }
    }

    /// <summary>Told whether anybody subscribes to <see cref="DirtyFetched"/>, so that fetching asks nobody while nobody does.</summary>
    internal Action<bool>? DirtyFetchSubscribersChanged { get; set; }

    internal bool WantsRetired => Retired is not null;

    internal bool WantsSteps => Stepped is not null;

    internal bool WantsIpis => IpiTaken is not null;

    /// <summary>True when somebody is told of interrupts taken or left.</summary>
    internal bool WantsInterrupts => IpiTaken is not null || HandlerLeft is not null;

    internal void RaiseStepped(Cpu cpu, KernelRoutine routine) => RaiseStepped(cpu, routine, routine.Current);

    internal void RaiseStepped(Cpu cpu, KernelRoutine routine, KernelStep step) => Stepped?.Invoke(new(cpu.Id, cpu.ClockCycles, routine, step));

    internal void RaiseTrapped(Cpu cpu, TrapFrame frame) => Trapped?.Invoke(new(cpu.Id, cpu.ClockCycles, frame));

    internal void RaiseIpiTaken(Cpu cpu, IpiRound round) => IpiTaken?.Invoke(new(round.Initiator.Id, cpu.Id, cpu.ClockCycles, round.Function, round.SentClockCycles));

    internal void RaiseHandlerLeft(Cpu cpu, long enteredClockCycles, TrapVector? vector) => HandlerLeft?.Invoke(new(cpu.Id, enteredClockCycles, cpu.ClockCycles, vector));

    internal void RaiseCodeStored(Cpu cpu, GuestAddress address, int length) => CodeStored?.Invoke(new(cpu.Id, cpu.ClockCycles, address, length));

    internal void RaiseRetired(Cpu cpu, GuestAddress rip) => Retired?.Invoke(new(cpu.Id, cpu.ClockCycles, rip));

    internal void RaiseDirtyFetched(Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence)
        => _dirtyFetched?.Invoke(cpu.Id, cpu.ClockCycles, rip, bytes, coherence);
}
