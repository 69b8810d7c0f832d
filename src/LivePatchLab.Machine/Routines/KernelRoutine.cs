namespace LivePatchLab.Machine;

/// <summary>A run of kernel code on a CPU, from <see cref="Cpu.Start"/> to its last step.</summary>
public sealed class KernelRoutine
{
    private IEnumerator<KernelStep> _steps;

    // Who is gone on with when the steps are at an end: most routines call one deep, and need no stack.
    private IEnumerator<KernelStep>? _caller;
    private Stack<IEnumerator<KernelStep>>? _callers;

    // The step that the iterator gave last, or the last of straight ones; and, while straight steps are called, those, which of them comes next, and how many there are.
    private KernelStep _current = null!;
    private KernelStep[] _straight = [];
    private int _nextStraight;
    private int _straightEnd;

    internal KernelRoutine(string name, IEnumerator<KernelStep> steps, RoutineKind kind)
    {
        Name = name;
        _steps = steps;
        Kind = kind;
    }

    public string Name { get; }

    public bool IsComplete { get; internal set; }

    /// <summary>The CPU's clock when the last step was done.</summary>
    public long CompletedClockCycles { get; internal set; }

    /// <summary>The step that is being done, or was done last; null before the first.</summary>
    public KernelStep? CurrentStep => Current;

    /// <summary>The step that is being done.</summary>
    internal KernelStep Current => _straightEnd > 0 ? _straight[_nextStraight - 1] : _current;

    internal RoutineKind Kind { get; }

    /// <summary>True while the current step waits for others.</summary>
    internal bool IsBlocked { get; set; }

    /// <summary>True between the first <see cref="KernelStep.Execute"/> of a blocking step and its <see cref="KernelStep.Resume"/>.</summary>
    internal bool MustResume { get; set; }

    /// <summary>What the current step still takes: interrupts come in between, and then it goes on.</summary>
    internal long BusyCycles { get; set; }

    internal long WakeClockCycles { get; set; }

    internal TrapFrame? Frame { get; init; }

    internal IpiRound? Round { get; init; }

    internal bool InterruptsWereEnabled { get; init; }

    internal long EnteredClockCycles { get; init; }

    /// <summary>What the guest did before it was made to run a function for a kernel routine.</summary>
    internal GuestContext? SetAside { get; init; }

    /// <summary>An NMI's handler that has copied its frame away from where the next NMI would write its own.</summary>
    internal bool HasOwnFrame { get; set; }

    /// <summary>An interrupt's handler that has switched to a task which goes back by SYSRET.</summary>
    internal bool LeavesBySystemReturn { get; set; }

    /// <summary>Goes on to the next step, into subroutines and out of them; false at the end.</summary>
    internal bool MoveNext()
    {
        if (_nextStraight >= _straightEnd) return MoveOn();
        _nextStraight++;
        return true;
    }

    /// <summary>The same; gives the step, or null at the end.</summary>
    internal KernelStep? Next() => _nextStraight < _straightEnd ? _straight[_nextStraight++] : MoveOn() ? Current : null;

    private bool MoveOn()
    {
        if (_straightEnd > 0) _current = _straight[^1];
        _nextStraight = _straightEnd = 0;
        while (true)
        {
            if (_steps.MoveNext())
            {
                _current = _steps.Current;
                if (_current is not Subroutine call) return true;
                if (call.Straight is { } straight)
                {
                    if (straight.Length == 0) continue;
                    _straight = straight;
                    (_nextStraight, _straightEnd) = (1, straight.Length);
                    return true;
                }

                if (_caller is not null) (_callers ??= new()).Push(_caller);
                _caller = _steps;
                _steps = call.Steps.GetEnumerator();
                continue;
            }

            _steps.Dispose();
            if (_caller is null) return false;
            _steps = _caller;
            _caller = _callers is { Count: > 0 } ? _callers.Pop() : null;
        }
    }
}

internal enum RoutineKind
{
    Task,
    Interrupt,
    DeviceInterrupt,
    NonMaskableInterrupt,
    Trap,

    /// <summary>No steps: guest code that the routine below it has called.</summary>
    GuestCall,
}
