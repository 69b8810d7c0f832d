using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>Listens to a machine's events and makes rows of them: one a clock, with a column a CPU.</summary>
internal sealed class TraceRecorder : IDisposable
{
    private const int RowsMax = 4000;

    /// <summary>Once the patcher has returned, this many visits of the site by each other CPU are still of interest: they show what it sees from then on.</summary>
    private const int VisitsAfterwards = 2;

    private readonly LabMachine _lab;
    private readonly PatchSite _site;
    private readonly InstructionText _instructions;
    private readonly List<Row> _rows = [];
    private readonly (GuestAddress Rip, byte[] Bytes)?[] _fetched;
    private readonly int[] _visitsAfterwards;
    private bool _patcherIsDone;
    private int _leftOut;

    public TraceRecorder(LabMachine lab, PatchSite site)
    {
        _lab = lab;
        _site = site;
        _instructions = new(lab.Machine.CodeMap);
        _fetched = new (GuestAddress, byte[])?[lab.Machine.Cpus.Count];
        _visitsAfterwards = new int[lab.Machine.Cpus.Count];
        var events = lab.Machine.Events;
        events.Stepped += OnStep;
        events.Trapped += OnTrap;
        events.IpiTaken += OnIpi;
        events.CodeStored += OnCodeStored;
        events.Retired += OnRetired;
        events.DirtyFetched += OnDirtyFetched;
    }

    public PatchTrace Finish(PatchRun run)
    {
        // A fetch without a retirement: the machine stopped before the instruction was done.
        for (var cpu = 0; cpu < _fetched.Length; cpu++)
            if (_fetched[cpu] is { } fetch) AddInstruction(new(cpu), _lab.Machine.Cpus[cpu].ClockCycles, fetch.Rip);
        return new(run, _site, [.. _rows.Select(r => new TraceRow(r.ClockCycles, r.Cells, r.SiteBytes))], _leftOut);
    }

    public void Dispose()
    {
        var events = _lab.Machine.Events;
        events.Stepped -= OnStep;
        events.Trapped -= OnTrap;
        events.IpiTaken -= OnIpi;
        events.CodeStored -= OnCodeStored;
        events.Retired -= OnRetired;
        events.DirtyFetched -= OnDirtyFetched;
    }

    private void OnStep(StepEvent e)
    {
        // The mark that ends the last phase; and steps that take no time here and show nothing are no news.
        if (e.Step is PhaseMark { Phase: "" }) _patcherIsDone = true;
        if (e.Step is PhaseMark { Phase: "" } or Delay { Cycles: 0 }) return;
        Add(e.Cpu, e.ClockCycles, new(TraceCellKind.Step, e.Step.Describe()));
    }

    private void OnTrap(TrapEvent e)
    {
        // INT3 retires; an instruction that faults does not, so what was fetched of it still waits to be shown.
        var isBreakpoint = e.Frame.Vector == TrapVector.Breakpoint;
        if (_fetched[e.Cpu.Index] is { } fetch) AddInstruction(e.Cpu, e.ClockCycles, fetch.Rip);
        var from = isBreakpoint ? e.Frame.Rip - 1 : e.Frame.Rip;
        var clock = isBreakpoint ? e.ClockCycles - _lab.Machine.Costs.BreakpointEntry.Cycles : e.ClockCycles;
        Add(e.Cpu, clock, new(TraceCellKind.Trap, $"{e.Frame.Vector.Mnemonic()}{(from == _site.Address ? " at the site" : $" at {from}")}"));
    }

    private void OnIpi(IpiEvent e) => Add(e.To, e.ClockCycles, new(TraceCellKind.Ipi, $"IPI from {e.From}: {e.Function.Name}"));

    private void OnCodeStored(CodeStoredEvent e)
    {
        if (_rows.Count > 0) _rows[^1].SiteBytes = SiteBytes();
    }

    private void OnDirtyFetched(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence) => _fetched[cpu.Index] = (rip, bytes.ToArray());

    // The event comes when the instruction is done; its row shows when it began.
    private void OnRetired(RetiredEvent e) => AddInstruction(e.Cpu, e.ClockCycles - _lab.Machine.Costs.Instruction.Cycles, e.Rip);

    private void AddInstruction(CpuId cpu, long clockCycles, GuestAddress rip)
    {
        var isSite = rip == _site.Address;
        var inMemory = ReadInstruction(rip);
        var bytes = _fetched[cpu.Index] is { } fetch && fetch.Rip == rip ? fetch.Bytes : inMemory;
        _fetched[cpu.Index] = null;
        if (_patcherIsDone && (!isSite || cpu.Index == 0 || ++_visitsAfterwards[cpu.Index] > VisitsAfterwards)) return;
        var (own, text) = _instructions.Of(rip, bytes);
        Add(cpu, clockCycles, isSite
            ? new(TraceCellKind.SiteInstruction, $"{PatchTrace.Hex(own)}  {text}", !inMemory.AsSpan().StartsWith(own), IsTorn(own), PatchTrace.Hex(own))
            : new(TraceCellKind.Instruction, text));
    }

    private bool IsTorn(ReadOnlySpan<byte> bytes)
        => !bytes.SequenceEqual(_site.OldCode) && bytes is not [BreakpointState.Int3] && (_site.NewCode is null || !bytes.SequenceEqual(_site.NewCode));

    private byte[] ReadInstruction(GuestAddress rip)
    {
        for (var length = 15; length > 0; length--)
            if (_lab.Machine.Memory.IsMapped(rip, length)) return _lab.Machine.Memory.Read(rip, length);
        return [];
    }

    private void Add(CpuId cpu, long clockCycles, TraceCell cell)
    {
        if (_rows.Count > 0 && _rows[^1] is var last && last.ClockCycles == clockCycles && last.Cells[cpu.Index] is null)
        {
            last.Cells[cpu.Index] = cell;
            return;
        }

        if (_rows.Count == RowsMax)
        {
            _leftOut++;
            return;
        }

        var row = new Row(clockCycles, new TraceCell?[_lab.Machine.Cpus.Count]) { SiteBytes = SiteBytes() };
        row.Cells[cpu.Index] = cell;
        _rows.Add(row);
    }

    private string SiteBytes() => PatchTrace.Hex(_lab.Machine.Memory.Read(_site.Address, _site.Length));

    private sealed class Row(long clockCycles, TraceCell?[] cells)
    {
        public long ClockCycles { get; } = clockCycles;

        public TraceCell?[] Cells { get; } = cells;

        public required string SiteBytes { get; set; }
    }
}
