using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>Runs one execution by its decisions and writes down what everybody did.</summary>
internal sealed class ExecutionRecorder : IDisposable
{
    private readonly ScenarioMachine _machine;
    private readonly List<TraceEntry> _entries = [];
    private readonly List<SiteVersion> _versions = [];
    private readonly InstructionText _instructions;
    private FetchCoherence _coherence;

    public ExecutionRecorder(ScenarioMachine machine)
    {
        _machine = machine;
        _instructions = new(machine.Machine.CodeMap);
        var events = machine.Machine.Events;
        events.Stepped += OnStepped;
        events.Trapped += OnTrapped;
        events.IpiTaken += OnIpiTaken;
        events.HandlerLeft += OnHandlerLeft;
        events.CodeStored += OnCodeStored;
        events.Retired += OnRetired;
        events.DirtyFetched += OnDirtyFetched;
        machine.Performing = OnPerforming;
    }

    /// <summary>Runs it. The machine is left as the execution ended.</summary>
    public (IReadOnlyList<TraceEntry> Entries, IReadOnlyList<SiteVersion> Versions) Record(DecisionList decisions)
    {
        _entries.Clear();
        _versions.Clear();
        var replay = new ReplaySearch(decisions);
        replay.TryBegin(0);
        _machine.Execute(replay, records: true);
        if (_machine.Run.Violation is { } violation)
            _entries.Add(Entry(violation.Cpu, TraceKind.Violation, null, violation.ToString()));

        // What the sites were at the start is known only now: the scenario names its sites anew in each execution.
        var starts = _machine.Run.Sites.Select(s => new SiteVersion(-1, s.Address, s.OldCode)).ToArray();
        return ([.. _entries], [.. starts, .. _versions]);
    }

    public void Dispose()
    {
        var events = _machine.Machine.Events;
        events.Stepped -= OnStepped;
        events.Trapped -= OnTrapped;
        events.IpiTaken -= OnIpiTaken;
        events.HandlerLeft -= OnHandlerLeft;
        events.CodeStored -= OnCodeStored;
        events.Retired -= OnRetired;
        events.DirtyFetched -= OnDirtyFetched;
        _machine.Performing = null;
    }

    /// <summary>Nothing takes time in exploration; for pictures, everything takes one cycle, whoever does it.</summary>
    private TraceEntry Entry(CpuId cpu, TraceKind kind, string? routine, string text) => new(_entries.Count, cpu, _entries.Count, 1, kind, routine, text);

    private void OnPerforming(Transition transition)
    {
        if (transition.Kind == TransitionKind.Drain)
            _entries.Add(Entry(transition.Cpu, TraceKind.Drain, null, _machine.Machine.Cpus[transition.Cpu.Index].DescribeDrain(transition)));
        else if (transition.IsOptional)
            _entries.Add(Entry(transition.Cpu, transition.Kind == TransitionKind.TakeNmi ? TraceKind.NonMaskableInterrupt : TraceKind.Interrupt, null, _machine.Machine.Cpus[transition.Cpu.Index].DescribeArmed(transition)));
    }

    private void OnStepped(StepEvent e)
    {
        if (e.Step is PhaseMark or Delay { Cycles: 0 }) return;
        _entries.Add(Entry(e.Cpu, TraceKind.Step, e.Routine.Name, e.Step.Describe()));
    }

    private void OnTrapped(TrapEvent e)
    {
        var rip = e.Frame.Vector == TrapVector.Breakpoint ? e.Frame.Rip - 1 : e.Frame.Rip;
        if (e.Frame.Vector == TrapVector.NonMaskableInterrupt) return;
        _entries.Add(Fetched(Entry(e.Cpu, TraceKind.Trap, null, $"{e.Frame.Vector.Mnemonic()} at {NameOf(rip)}"), rip));
    }

    /// <summary>The sender sends in its last step, and goes no further until it has an answer.</summary>
    private void OnIpiTaken(IpiEvent e) => _entries.Add(Entry(e.To, TraceKind.Interrupt, null, $"IPI from {e.From}: {e.Function.Name}") with
    {
        CausedBy = _entries.FindLast(sent => sent.Cpu == e.From && sent.Kind == TraceKind.Step)?.Ordinal,
    });

    private void OnHandlerLeft(HandlerLeftEvent e)
    {
        if (e.Vector is null) return;
        _entries.Add(Entry(e.Cpu, TraceKind.Return, null, $"IRET to {NameOf(_machine.Machine.Cpus[e.Cpu.Index].Rip)}"));
    }

    private void OnCodeStored(CodeStoredEvent e)
    {
        foreach (var site in _machine.Run.Sites)
        {
            if (e.Address + e.Length <= site.Address || e.Address >= site.Address + site.Length) continue;
            _versions.Add(new(_entries.Count - 1, site.Address, _machine.Machine.Memory.Read(site.Address, site.Length)));
        }
    }

    private void OnDirtyFetched(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence) => _coherence = coherence;

    private void OnRetired(RetiredEvent e)
    {
        var bytes = _machine.Machine.LastFetched.ToArray();
        _entries.Add(Fetched(Entry(e.Cpu, TraceKind.Instruction, null, _instructions.Of(e.Rip, bytes).Text), e.Rip));
    }

    private TraceEntry Fetched(TraceEntry entry, GuestAddress rip)
    {
        var coherence = _coherence;
        _coherence = default;
        return entry with { Rip = rip, Fetched = _machine.Machine.LastFetched.ToArray(), IsStale = coherence.IsStale, IsTorn = coherence.IsTorn };
    }

    private string NameOf(GuestAddress address) => _machine.Machine.CodeMap?.NameOf(address) ?? address.ToString();
}
