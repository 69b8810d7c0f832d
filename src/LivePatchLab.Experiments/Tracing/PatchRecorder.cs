using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>Listens to a machine's events and makes a timeline of them. Guest code runs at full pace: no event of a single instruction is asked for, but of those at changing code.</summary>
internal sealed class PatchRecorder : IDisposable
{
    /// <summary>Spans and IPIs together.</summary>
    private const int EntriesMax = 50_000;

    private readonly LabMachine _lab;
    private readonly PatchSite _site;
    private readonly long _startClock;
    private readonly CpuActivity[] _activities;
    private readonly Lane[] _lanes;
    private readonly List<CpuSpan> _spans = [];
    private readonly List<IpiFlight> _ipis = [];
    private readonly List<PhaseSpan> _phases = [];
    private readonly SiteBytesBuilder _bytes;
    private readonly StallCounter _stalls;
    private (string Name, long StartCycles)? _phase;
    private long _leftOut;

    public PatchRecorder(LabMachine lab, PatchSite site)
    {
        _lab = lab;
        _site = site;
        var machine = lab.Machine;
        _startClock = machine.Cpus[0].ClockCycles;
        _activities = [.. machine.Cpus.Select(cpu => cpu.Activity)];
        _lanes = [.. machine.Cpus.Select(_ => new Lane())];
        _bytes = new(site, machine.Costs, fetchesOfCleanCode: false);
        _bytes.Store(0, null, BytesInMemory());
        _stalls = new(machine.Costs);
        machine.Events.Stepped += OnStep;
        machine.Events.Trapped += OnTrap;
        machine.Events.IpiTaken += OnIpi;
        machine.Events.HandlerLeft += OnHandlerLeft;
        machine.Events.CodeStored += OnCodeStored;
        machine.Events.DirtyFetched += OnDirtyFetched;
    }

    public PatchRecording Finish(PatchRun run)
    {
        var end = run.SimulatedCycles;
        for (var cpu = 0; cpu < _lanes.Length; cpu++) EndStep(new(cpu), Math.Max(cpu == 0 ? end : Since(_lab.Machine.Cpus[cpu].ClockCycles), _lanes[cpu].StartCycles));
        EndPhase(end);
        return new()
        {
            Run = run,
            EndCycles = Math.Max(end, 1),
            Activities = _activities,
            Spans = _spans,
            Ipis = _ipis,
            Phases = _phases,
            SiteBytes = _bytes.Build(),
            Stalls = _stalls.Build(),
            LeftOut = _leftOut,
        };
    }

    public void Dispose()
    {
        var events = _lab.Machine.Events;
        events.Stepped -= OnStep;
        events.Trapped -= OnTrap;
        events.IpiTaken -= OnIpi;
        events.HandlerLeft -= OnHandlerLeft;
        events.CodeStored -= OnCodeStored;
        events.DirtyFetched -= OnDirtyFetched;
    }

    private void OnStep(StepEvent e)
    {
        // The steps of a handler are its span.
        var lane = _lanes[e.Cpu.Index];
        if (lane.Handlers > 0) return;
        var at = Since(e.ClockCycles);
        EndStep(e.Cpu, at);
        if (e.Step is PhaseMark mark)
        {
            EndPhase(at);
            _phase = mark.Phase.Length > 0 ? (mark.Phase, at) : null;
        }
        else
        {
            // Said now: a routine may use the step again for another place before this one's end is known.
            (lane.Step, lane.StartCycles, lane.Description) = (e.Step, at, e.Step.Describe());
        }
    }

    private void OnTrap(TrapEvent e) => _lanes[e.Cpu.Index].Handlers++;

    private void OnIpi(IpiEvent e)
    {
        _lanes[e.To.Index].Handlers++;
        if (HasRoom()) _ipis.Add(new(e.From, Since(e.SentClockCycles), e.To, Since(e.ClockCycles - _lab.Machine.Costs.InterruptEntry.Cycles)));
    }

    private void OnHandlerLeft(HandlerLeftEvent e)
    {
        _lanes[e.Cpu.Index].Handlers--;
        _stalls.Add(_lab.Machine.Accounts.Current, e.Vector is null ? StallKind.Target : StallKind.Breakpoint, e.ClockCycles - e.EnteredClockCycles);
        Add(new(e.Cpu, e.Vector is null ? SpanKind.Interrupt : SpanKind.Trap, Since(e.EnteredClockCycles), Since(e.ClockCycles), e.Vector?.Mnemonic() ?? "IPI"));
    }

    private void OnCodeStored(CodeStoredEvent e)
    {
        if (e.Address < _site.Address + _site.Length && _site.Address < e.Address + e.Length) _bytes.Store(Since(e.ClockCycles), e.Cpu, BytesInMemory());
    }

    private void OnDirtyFetched(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence)
    {
        if (rip == _site.Address) _bytes.Fetch(cpu, PatchTrace.Hex(bytes));
    }

    private void EndStep(CpuId cpu, long at)
    {
        var lane = _lanes[cpu.Index];
        if (lane.Step is not { } step) return;
        lane.Step = null;
        if (at == lane.StartCycles) return;
        var kind = step switch
        {
            CallFunction => SpanKind.Sync,
            TextPoke or ProbeKernelWrite or StoreCode => SpanKind.Write,
            _ => SpanKind.Step,
        };
        if (kind == SpanKind.Sync) _stalls.Add(_lab.Machine.Accounts.Current, StallKind.Sender, at - lane.StartCycles);
        if (kind != SpanKind.Sync && lane.Last >= 0 && _spans[lane.Last] is var last && last.Kind == kind && last.EndCycles == lane.StartCycles)
        {
            _spans[lane.Last] = last with { EndCycles = at };
            return;
        }

        lane.Last = Add(new(cpu, kind, lane.StartCycles, at, lane.Description)) ? _spans.Count - 1 : -1;
    }

    private void EndPhase(long at)
    {
        if (_phase is not { } phase) return;
        _phase = null;
        if (_phases.Count > 0 && _phases[^1] is var last && last.Name == phase.Name && last.EndCycles == phase.StartCycles) _phases[^1] = last with { EndCycles = at };
        else if (_phases.Count < EntriesMax) _phases.Add(new(phase.Name, phase.StartCycles, at));
    }

    private bool Add(in CpuSpan span)
    {
        if (!HasRoom()) return false;
        _spans.Add(span);
        return true;
    }

    private bool HasRoom()
    {
        if (_spans.Count + _ipis.Count < EntriesMax) return true;
        _leftOut++;
        return false;
    }

    private long Since(long clockCycles) => clockCycles - _startClock;

    private string BytesInMemory() => PatchTrace.Hex(_lab.Machine.Memory.Read(_site.Address, _site.Length));

    /// <summary>What a CPU is in the middle of.</summary>
    private sealed class Lane
    {
        public KernelStep? Step { get; set; }

        public string Description { get; set; } = "";

        public long StartCycles { get; set; }

        /// <summary>How many handlers are stacked upon it.</summary>
        public int Handlers { get; set; }

        /// <summary>The index of the last span of its own, or -1.</summary>
        public int Last { get; set; } = -1;
    }
}
