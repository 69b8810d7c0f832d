using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The machine one transition at a time, in whatever order somebody else decides: what exploration stands on. Clocks do not order anything here;
/// there is one time for all CPUs, and it passes while one of them does something.
/// </summary>
public sealed unsafe partial class SmpMachine
{
    private long _nowCycles;
    private long _acts;
    private bool _hasArmed;
    private readonly LineSet _volatileLines = new();
    private readonly List<ulong> _undeclaredLines = [];

    /// <summary>How stores of kernel variables reach the other CPUs.</summary>
    public MemoryOrder MemoryOrder { get; }

    /// <summary>What the last transition touched; null for a machine that has never been explored.</summary>
    public AccessLog? Accesses { get; private set; }

    /// <summary>Where functions return to that a kernel routine has called by <see cref="CallGuest"/>: a HLT that whoever lays out memory has put there.</summary>
    public GuestAddress GuestCallReturn { get; set; }

    /// <summary>The bytes of the instruction that a CPU executed, or trapped on, in the last transition, as it was given them; empty where none was fetched.</summary>
    public ReadOnlySpan<byte> LastFetched => Interpreter.LastBytes;

    /// <summary>True when a checker, a fault or a step has ended the run.</summary>
    public bool IsStopRequested => _stopRequested;

    /// <summary>Lines that <see cref="DeclareVolatile"/> did not name, and that were stored to all the same.</summary>
    public int UndeclaredStores { get; private set; }

    /// <summary>What the machine is now, to come back to. Nothing may run on it but guests at their first instruction.</summary>
    public MachineSnapshot TakeSnapshot() => new(this);

    /// <summary>Brings the machine back: memory, registers, clocks; nothing runs, nothing is on its way, no version of code but one.</summary>
    public void Restore(MachineSnapshot snapshot)
    {
        Accesses ??= new();
        _stopRequested = false;
        Fault = null;
        _awaited = null;
        _nowCycles = 0;
        _acts = 0;
        _hasArmed = false;
        Versions.Reset();
        snapshot.RestoreMemory(Memory);
        Array.Clear(TrapHandlers);
        Accounts.Recycle(0);
        foreach (var cpu in _cpus)
        {
            snapshot.RestoreState(cpu);
            cpu.Restart();
        }
    }

    /// <summary>Names the code that will be stored to. What lies elsewhere is taken to be always the same, and running it to be nobody else's affair.</summary>
    public void DeclareVolatile(GuestAddress address, int length)
    {
        foreach (var line in new CodeSpan(address.Value, length).Lines) _volatileLines.Add(line);
    }

    /// <summary>
    /// Lines that were stored to and had not been named are taken for code that never changes again, as at first. What lies in them is done step by step once it is
    /// known to change; so whoever wants an execution to depend on nothing that another has shown forgets it in between.
    /// </summary>
    public void ForgetUndeclaredStores()
    {
        foreach (var line in _undeclaredLines) _volatileLines.Remove(line);
        _undeclaredLines.Clear();
    }

    /// <summary>What can be done next: in the order of the CPUs, and what need not happen behind what must.</summary>
    public void CollectTransitions(List<Transition> into)
    {
        // Into a span: this is done before every transition, and there are mostly two.
        var (count, most) = (0, 0);
        foreach (var cpu in _cpus) most += cpu.TransitionsMax;
        CollectionsMarshal.SetCount(into, most);
        var span = CollectionsMarshal.AsSpan(into);
        foreach (var cpu in _cpus) count += cpu.CollectTransitions(span[count..]);
        CollectionsMarshal.SetCount(into, count);
        if (_hasArmed && count > 1) MoveOptionalsBack(into);
    }

    /// <summary>True when this is one of the things that can be done next: what <see cref="CollectTransitions"/> would say, for less.</summary>
    public bool CanPerform(Transition transition) => _cpus[transition.Cpu.Index].CanPerform(transition);

    /// <summary>Does one of them; <see cref="Accesses"/> tells afterwards what it touched.</summary>
    public void Perform(Transition transition)
    {
        Accesses!.Clear();
        var cpu = _cpus[transition.Cpu.Index];
        if (cpu.ClockCycles < _nowCycles) cpu.ClockCycles = _nowCycles;
        cpu.Perform(transition);
        _nowCycles = cpu.ClockCycles;
    }

    internal bool IsVolatile(ulong line) => _volatileLines.Contains(line);

    internal long ForeignActs(Cpu cpu) => _acts - cpu.OwnActs;

    internal void NoteAct() => _acts++;

    internal void NoteArmed() => _hasArmed = true;

    internal void NoteCodeStore(Cpu cpu, GuestAddress address, int length)
    {
        cpu.NoteAct();
        if (Accesses is not { } log) return;
        log.WriteLines(address, length);

        // Who serialises before the store may still see the old bytes, who does so after it may not: the order of the two counts.
        foreach (var other in _cpus) log.Read(AccessLog.FloorOf(other.Id.Index));
        foreach (var line in new CodeSpan(address.Value, length).Lines)
        {
            if (!_volatileLines.Add(line)) continue;
            _undeclaredLines.Add(line);
            UndeclaredStores++;
        }
    }

    private static void MoveOptionalsBack(List<Transition> transitions)
    {
        var kept = 0;
        for (var i = 0; i < transitions.Count; i++)
        {
            if (transitions[i].IsOptional) continue;
            var mandatory = transitions[i];
            for (var at = i; at > kept; at--) transitions[at] = transitions[at - 1];
            transitions[kept++] = mandatory;
        }
    }
}
