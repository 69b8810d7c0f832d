namespace LivePatchLab.Machine;

/// <summary>
/// Lets a machine go on by steps and to breakpoints. A breakpoint stops the machine before the instruction and is nothing that
/// the guest could see: no byte, no cycle, no draw of chance. A run that was stopped any number of times ends in the same
/// <see cref="StateHash"/> as one that never was; only <see cref="Step(Cpu)"/>, which chooses the CPU itself, makes another run.
/// </summary>
public sealed class Debugger
{
    private readonly SortedSet<GuestAddress> _breakpoints = [];
    private readonly GuestAddress?[] _standsAt;
    private readonly ulong[]?[] _before;
    private GuestAddress? _until;
    private long _instructionsLeft = long.MaxValue;
    private Cpu? _stopped;

    internal Debugger(SmpMachine machine)
    {
        Machine = machine;
        _standsAt = new GuestAddress?[machine.Cpus.Count];
        _before = new ulong[machine.Cpus.Count][];
    }

    public SmpMachine Machine { get; }

    /// <summary>In ascending order. They hold for all CPUs, and for runs by this debugger only.</summary>
    public IReadOnlyCollection<GuestAddress> Breakpoints => _breakpoints;

    /// <summary>Has <see cref="Run"/> stop before any CPU executes the guest instruction at an address.</summary>
    public void Break(GuestAddress address) => _breakpoints.Add(address);

    /// <summary>False where there was no breakpoint.</summary>
    public bool Remove(GuestAddress address) => _breakpoints.Remove(address);

    public void RemoveAll() => _breakpoints.Clear();

    /// <summary>Runs to a breakpoint, or until nothing is left to do. A CPU that stands at a breakpoint goes past it.</summary>
    public DebuggerStop Run(CancellationToken cancellation = default) => Go(long.MaxValue, null, cancellation);

    /// <summary>Runs until a CPU is about to execute the instruction at this address, or as <see cref="Run"/> does.</summary>
    public DebuggerStop RunUntil(GuestAddress address, CancellationToken cancellation = default) => Go(long.MaxValue, address, cancellation);

    /// <summary>Lets guest instructions retire, on the CPUs whose turn it is: on all CPUs together so many, fewer if a breakpoint comes first.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than 1.</exception>
    public DebuggerStop Step(long instructions = 1, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(instructions, 1);
        return Go(instructions, null, cancellation);
    }

    /// <summary>
    /// Lets one guest instruction retire on this CPU, whoever's turn it is, breakpoint or not: so interleavings are made by hand.
    /// A string instruction with a long REP is as many steps as it has slices.
    /// </summary>
    /// <exception cref="ArgumentException">The CPU is none of this machine's, or does not execute guest code now.</exception>
    public DebuggerStop Step(Cpu cpu)
    {
        if (cpu.Machine != Machine) throw new ArgumentException($"{cpu.Id} belongs to another machine");
        if (cpu.Activity != CpuActivity.Guest || cpu.Routine is not null) throw new ArgumentException($"{cpu.Id} executes no guest code now, so it has no instruction to step");
        Begin(1, null);
        _standsAt[cpu.Id.Index] = cpu.Rip;
        return End(() => Machine.RunAlone(cpu));
    }

    /// <summary>What a CPU's registers held before this debugger last let the machine go, in the order of <see cref="RegisterNames.All"/>; null before it first did.</summary>
    public IReadOnlyList<ulong>? RegistersBefore(Cpu cpu) => _before[cpu.Id.Index];

    /// <summary>Asked before guest code: how many instructions, at most; false to stop here.</summary>
    internal bool Admits(Cpu cpu, ref long instructions)
    {
        if (_breakpoints.Count == 0 && _until is null)
        {
            instructions = Math.Min(instructions, _instructionsLeft);
            return true;
        }

        instructions = 1;
        var rip = cpu.Rip;
        if (_standsAt[cpu.Id.Index] == rip || (rip != _until && !_breakpoints.Contains(rip))) return true;
        Stop(cpu, MachineStop.Breakpoint);
        return false;
    }

    internal void NoteRetired(Cpu cpu, long instructions)
    {
        if (instructions == 0) return;
        _standsAt[cpu.Id.Index] = null;
        if (_instructionsLeft == long.MaxValue) return;
        _instructionsLeft -= instructions;
        if (_instructionsLeft == 0) Stop(cpu, MachineStop.Stepped);
    }

    private void Stop(Cpu cpu, MachineStop why)
    {
        _stopped = cpu;
        _standsAt[cpu.Id.Index] = cpu.Rip;
        Machine.Pause(cpu, why);
    }

    private DebuggerStop Go(long instructions, GuestAddress? until, CancellationToken cancellation)
    {
        Begin(instructions, until);
        return End(() => Machine.Run(cancellation: cancellation));
    }

    private void Begin(long instructions, GuestAddress? until)
    {
        _instructionsLeft = instructions;
        _until = until;
        _stopped = null;
        foreach (var cpu in Machine.Cpus) _before[cpu.Id.Index] = cpu.NamedRegisters();
    }

    private DebuggerStop End(Func<MachineStop> run)
    {
        Machine.Pacer = this;
        try
        {
            return DebuggerStop.Of(Machine, run(), _stopped);
        }
        finally
        {
            Machine.Pacer = null;
        }
    }
}
