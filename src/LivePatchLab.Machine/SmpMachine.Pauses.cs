namespace LivePatchLab.Machine;

/// <summary>Stops in the middle of a CPU's turn, from which the run goes on as if there had been none.</summary>
public sealed unsafe partial class SmpMachine
{
    private readonly record struct Turn(Cpu Cpu, long LimitCycles, int QuantumCycles);

    private MachineStop _pauseReason = MachineStop.Requested;
    private Turn? _pausedTurn;

    /// <summary>Steps and breakpoints. It costs nothing until it runs the machine.</summary>
    public Debugger Debugger => field ??= new(this);

    /// <summary>Names and sites of the code in memory, for those who show it; set by whoever lays the code down.</summary>
    public ICodeMap? CodeMap { get; set; }

    /// <summary>The debugger while it runs the machine, else null.</summary>
    internal Debugger? Pacer { get; set; }

    /// <summary>Ends the current run, and keeps the rest of the CPU's turn for the next one.</summary>
    internal void Pause(Cpu cpu, MachineStop why)
    {
        // Somebody else may have asked for a stop in the same instruction; then the turn is over.
        if (cpu.ClockCycles < RunLimitCycles) _pausedTurn = new(cpu, RunLimitCycles, _runningQuantumCycles);
        if (_stopRequested) return;
        _pauseReason = why;
        RequestStop();
    }

    /// <summary>Lets one CPU run until the debugger has enough, without asking whose turn it is.</summary>
    internal MachineStop RunAlone(Cpu cpu)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        _awaited = null;
        Fault = null;
        _stopRequested = false;
        _pauseReason = MachineStop.Requested;
        var paused = _pausedTurn;
        var outer = Interpreter.Native?.BeginRun();
        try
        {
            TakeTurn(new(cpu, long.MaxValue, 1));
        }
        finally
        {
            Interpreter.Native?.EndRun(outer);
        }

        _pausedTurn = paused;
        return Fault is not null ? MachineStop.Fault : _pauseReason;
    }

    private bool TryResumeTurn(long clockLimitCycles)
    {
        if (_pausedTurn is not { } turn) return false;
        _pausedTurn = null;
        var limit = Math.Min(turn.LimitCycles, clockLimitCycles);
        if (turn.Cpu.ReadyClock is not { } clock || clock >= limit) return false;
        TakeTurn(turn with { LimitCycles = limit });
        return true;
    }

    private void TakeTurn(Turn turn)
    {
        _running = turn.Cpu.Id.Index;
        _ready.Remove(_running);
        _runningQuantumCycles = turn.QuantumCycles;
        RunLimitCycles = turn.LimitCycles;
        try
        {
            turn.Cpu.Run();
        }
        finally
        {
            EndTurn(turn.Cpu);
        }
    }
}
