namespace LivePatchLab.Machine;

/// <summary>Code of which CPUs may see several versions.</summary>
internal sealed unsafe partial class Interpreter
{
    /// <summary>The instruction at RIP, as the model lets the CPU see it, and those that follow it in dirty lines: whatever is asked about them in between has the same answer.</summary>
    private Op* RunDirty(CpuState* cpu, ref long budget)
    {
        Op* op;
        _modelFetch.Cpu = new CpuId(cpu->CpuIndex);
        do
        {
            // Most instructions of a dirty line are not those that change, and most CPUs that come to one that does have serialised since.
            if (FetchObserver is null && _cache.KnownCertain(cpu->Rip, _modelFetch.Cpu) is { } certain)
            {
                op = TryRunSingle(cpu, certain, ref budget) ? AfterSingle(cpu) : null;
                continue;
            }

            _modelFetch.RetiredInRun = cpu->RunLength - budget;
            _modelFetch.Begin(cpu->Rip);
            op = RunAlone(cpu, _modelFetch, ref budget);
        }
        while (op == null && budget > 0 && cpu->Exit == ExecutionExit.Budget && !SingleStep.IsWanted(cpu) && _cache.IsFetched(cpu->Rip));
        return op;
    }

    /// <summary>An instruction has been fetched through the model; false when it raises an exception in place of being executed.</summary>
    private bool Admits(CpuState* cpu, ulong rip, SingleOp single)
    {
        var observer = FetchObserver;
        var coherence = _code.EndFetch(single.Bytes, single.IsBranch, isObserved: observer is not null);
        if (observer is not null && (_cache.IsInDirtyLine(rip) || _cache.IsInDirtyLine(rip + (ulong)single.Bytes.Length - 1)))
            observer.OnDirtyFetch(cpu->CpuIndex, new GuestAddress(rip), single.Bytes, coherence);
        if (_code.FaultOf(coherence) is not { } vector) return true;
        Traps.Record(cpu, vector);
        cpu->Exit = ExecutionExit.Trap;
        return false;
    }
}
