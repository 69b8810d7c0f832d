namespace LivePatchLab.Machine;

/// <summary>How a call of <see cref="SmpMachine.Run"/> ended.</summary>
public enum MachineStop
{
    /// <summary>The routine that was waited for is complete.</summary>
    Completed,

    /// <summary>Nothing is left to do: every CPU is idle, halted or parked.</summary>
    Idle,

    /// <summary>Routines wait for each other and no CPU can go on.</summary>
    Deadlock,

    /// <summary>An exception that nobody consumed: <see cref="SmpMachine.Fault"/>.</summary>
    Fault,

    /// <summary>The CPU furthest behind has reached the limit that was given.</summary>
    ClockLimit,

    /// <summary>Somebody asked for it by <see cref="SmpMachine.RequestStop"/>.</summary>
    Requested,

    /// <summary>A CPU is about to execute an instruction at a breakpoint of the <see cref="Debugger"/>.</summary>
    Breakpoint,

    /// <summary>The guest instructions that the <see cref="Debugger"/> was asked for have retired.</summary>
    Stepped,
}

/// <summary>The handler of an exception: its steps run on the CPU that took it.</summary>
public delegate IEnumerable<KernelStep> TrapHandler(Cpu cpu, TrapFrame frame);

/// <summary>
/// An emulated SMP x86-64 machine. The CPU that is furthest behind runs next, for a quantum at most; whatever is undetermined
/// is asked of <see cref="Choices"/>; so options and choices in, the same run out. Not thread-safe: one machine, one thread.
/// </summary>
public sealed unsafe partial class SmpMachine : IDisposable
{
    private readonly CpuStateMemory _stateMemory;
    private readonly CpuState* _states;
    private readonly Cpu[] _cpus;
    private KernelRoutine? _awaited;
    private bool _stopRequested;
    private bool _isDisposed;

    public SmpMachine(MachineOptions options)
    {
        Engine = Available(options.Engine, options.Host);
        Costs = options.Costs;
        Fetch = options.Fetch;
        Choices = options.Choices;
        MemoryOrder = options.MemoryOrder;
        InstructionCycles = Costs.Instruction.Cycles;
        _quantumCyclesMax = options.QuantumCyclesMax;
        _loneTurnCycles = options.LoneTurnCycles;
        Memory = new(isShared: Engine != ExecutionEngine.Interpreter);
        Versions = new(Memory, Fetch, Choices, options.Cpus, new CpuProgress(this));
        Interpreter = new(Memory, Versions);
        if (Engine != ExecutionEngine.Interpreter) Interpreter.UseTranslator(options);
        Versions.LineChanged = Interpreter.InvalidateLine;
        Memory.PermissionsChanged = Interpreter.ChangePermissions;
        var relay = new DirtyFetchRelay(this);
        Events.DirtyFetchSubscribersChanged = any =>
        {
            Interpreter.FetchObserver = any ? relay : null;
            Versions.Reconsider();
        };
        Accounts = new(options.Cpus);
        Accounts.Restart(0);

        _stateMemory = new(options.Cpus);
        _states = _stateMemory.First;
        _cpus = new Cpu[options.Cpus];
        _ready = new(options.Cpus);
        for (var i = 0; i < options.Cpus; i++)
        {
            Interpreter.Attach(&_states[i], i);
            _cpus[i] = new(this, new(i), &_states[i]);
        }
    }

    public IReadOnlyList<Cpu> Cpus => _cpus;

    public GuestMemory Memory { get; }

    public CostModel Costs { get; }

    public FetchModel Fetch { get; }

    /// <summary>What executes guest code: <see cref="ExecutionEngine.Interpreter"/> where nothing else was asked for or can be had.</summary>
    public ExecutionEngine Engine { get; }

    /// <summary>Where the execution of guest code has gone so far.</summary>
    public EngineStatistics EngineStatistics => EngineStatistics.Of(this);

    public IChoiceSource Choices { get; }

    public MachineEvents Events { get; } = new();

    /// <summary>The account of what the CPUs met, by phase.</summary>
    public PhaseAccounts Accounts { get; }

    /// <summary>The exception that ended the last <see cref="Run"/>, or null.</summary>
    public GuestFault? Fault { get; private set; }

    /// <summary>The clock of the CPU that is furthest ahead.</summary>
    public long ClockCycles => _cpus.Max(c => c.ClockCycles);

    /// <summary>Does SYSCALL for guest programs; where there is none, SYSCALL is #UD.</summary>
    public Action<Cpu>? SystemCall { get; set; }

    internal ReadOnlySpan<Cpu> AllCpus => _cpus;

    internal CodeVersions Versions { get; }

    internal Interpreter Interpreter { get; }

    internal TrapHandler?[] TrapHandlers { get; } = new TrapHandler?[32];

    /// <summary>What one guest instruction takes.</summary>
    internal long InstructionCycles { get; }

    /// <summary>The clock at which the running CPU gives way.</summary>
    internal long RunLimitCycles { get; private set; }

    /// <summary>Installs, or with null removes, the handler of an exception. An exception without one stops the machine.</summary>
    public void SetTrapHandler(TrapVector vector, TrapHandler? handler) => TrapHandlers[(int)vector] = handler;

    /// <summary>Runs the machine.</summary>
    /// <param name="until">Stop when this routine is complete; null to run on while there is anything to do.</param>
    /// <param name="clockLimitCycles">Stop when every CPU that can go on has reached this clock.</param>
    /// <param name="cancellation">Looked at between quanta, and so is <see cref="CallerCancellation"/>.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the machine can be run on.</exception>
    public MachineStop Run(KernelRoutine? until = null, long clockLimitCycles = long.MaxValue, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var caller = CallerCancellation.Current;
        caller?.StartListening();
        var outer = Interpreter.Native?.BeginRun();
        try
        {
            return RunUntil(until, clockLimitCycles, cancellation, caller?.Token ?? default);
        }
        finally
        {
            Interpreter.Native?.EndRun(outer);
            caller?.StopListening();
        }
    }

    private MachineStop RunUntil(KernelRoutine? until, long clockLimitCycles, CancellationToken cancellation, CancellationToken caller)
    {
        _awaited = until;
        Fault = null;
        _stopRequested = until is { IsComplete: true };
        _pauseReason = MachineStop.Requested;
        var isCancellable = cancellation.CanBeCanceled || caller.CanBeCanceled;
        try
        {
            while (!_stopRequested)
            {
                if (isCancellable)
                {
                    cancellation.ThrowIfCancellationRequested();
                    caller.ThrowIfCancellationRequested();
                }

                if (_ready.IsEmpty) return until is null && !_cpus.Any(c => c.IsWaiting) ? MachineStop.Idle : MachineStop.Deadlock;
                if (_ready.FirstClock >= clockLimitCycles)
                {
                    foreach (var cpu in _cpus) cpu.SpendUntil(clockLimitCycles);
                    return MachineStop.ClockLimit;
                }

                if (_pausedTurn is null || !TryResumeTurn(clockLimitCycles)) TakeTurns(clockLimitCycles, cancellation, caller);
            }
        }
        finally
        {
            // A routine of the user's may have thrown; the machine stays one that can be looked at and run on.
            if (_running != NoCpu) EndTurn(_cpus[_running]);
        }

        if (Fault is not null) return MachineStop.Fault;
        return until is { IsComplete: true } ? MachineStop.Completed : _pauseReason;
    }

    /// <summary>Ends the current <see cref="Run"/> after the step that is being done; for observers that have seen enough.</summary>
    public void RequestStop()
    {
        _stopRequested = true;
        RunLimitCycles = long.MinValue;
    }

    /// <summary>Why <see cref="Run"/> reported a deadlock: who waits, and in which step.</summary>
    public IEnumerable<string> Waiting() => _cpus
        .Where(c => c.IsWaiting)
        .Select(c => $"{c.Id}{(c.InterruptsEnabled ? "" : " (interrupts off)")}: {c.Routine!.Name}, {c.Routine.Current.Describe()}");

    public StateHash Hash()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var hasher = default(StateHasher);
        foreach (var cpu in _cpus) cpu.AddTo(ref hasher);
        foreach (var (start, length) in Memory.Regions)
            for (var offset = 0L; offset < length; offset += GuestMemory.PageBytes)
                hasher.AddPage((start + offset).Value, new(Memory.Origin + (long)(start + offset).Value, GuestMemory.PageBytes));
        return hasher.Result;
    }

    public void Dispose()
    {
        _isDisposed = true;
        Interpreter.Dispose();
        Memory.Dispose();
    }

    /// <summary>Stores code for a CPU, through an alias that may be written; false where it is not mapped.</summary>
    public bool TryStoreCode(Cpu cpu, GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        if (!Memory.IsMapped(address, bytes.Length)) return false;
        // Stores leave the buffer in their order, unless the order is only partial.
        if (MemoryOrder == MemoryOrder.TotalStoreOrder) cpu.DrainStores();
        Versions.Store(cpu.Id, address, bytes);
        NoteCodeStore(cpu, address, bytes.Length);
        Events.RaiseCodeStored(cpu, address, bytes.Length);
        return true;
    }

    /// <summary>The oldest bytes that a CPU may still be given when it fetches here; for a CPU that has serialised since the last store, what memory holds.</summary>
    /// <exception cref="ArgumentException">The bytes are not all mapped.</exception>
    public byte[] OldestVisibleCode(CpuId cpu, GuestAddress address, int length)
    {
        if (!Memory.IsMapped(address, length)) throw new ArgumentException($"{length} bytes at {address} are not all mapped", nameof(address));
        var bytes = new byte[length];
        Versions.CopyOldest(cpu, address, bytes);
        return bytes;
    }

    /// <summary>The same, for those who look often: fills bytes of theirs, all of which must be mapped.</summary>
    public void CopyOldestVisibleCode(CpuId cpu, GuestAddress address, Span<byte> destination) => Versions.CopyOldest(cpu, address, destination);

    internal void DoSystemCall(Cpu cpu)
    {
        if (SystemCall is not null) SystemCall(cpu);
        else Stop(new(cpu.Id, TrapVector.InvalidOpcode, 0, cpu.Rip - 2, default, cpu.ClockCycles));
    }

    internal void Stop(GuestFault fault)
    {
        Fault ??= fault.ExplainedBy(this);
        RequestStop();
    }

    internal void NoteCompleted(KernelRoutine routine)
    {
        if (routine == _awaited) RequestStop();
    }

    private static ExecutionEngine Available(ExecutionEngine wanted, NativeHost host) => host.Obstacle switch
    {
        null => wanted,
        _ when wanted != ExecutionEngine.Translator => ExecutionEngine.Interpreter,
        var obstacle => throw new PlatformNotSupportedException($"the translator does not run on this host: {obstacle}; the interpreter does"),
    };

    private sealed class DirtyFetchRelay(SmpMachine machine) : IFetchObserver
    {
        public void OnDirtyFetch(int cpu, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence)
            => machine.Events.RaiseDirtyFetched(machine._cpus[cpu], rip, bytes, coherence);
    }
}
