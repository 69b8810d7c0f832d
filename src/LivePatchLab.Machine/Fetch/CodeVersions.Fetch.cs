namespace LivePatchLab.Machine;

/// <summary>One instruction fetch: which version of each chunk the CPU is given.</summary>
internal sealed unsafe partial class CodeVersions
{
    /// <summary>No line begins here.</summary>
    private static readonly GuestAddress NoLine = new(ulong.MaxValue);

    private readonly bool _isByBlock;
    private readonly bool _fetchesWhole;

    // Where instructions are fetched whole, the epoch by which each CPU had captured its last one: it captures in order.
    private readonly long[] _captureMoments;

    // The fetch in progress: its bytes so far, and the version chosen for the chunk of the last of them.
    private readonly byte[] _chunk = new byte[LineBytes];
    private int _fetchCpu;
    private GuestAddress _fetchStart;
    private long _fetchRetired;

    // The line of that chunk, and its versions where it has several.
    private GuestAddress _lineStart;
    private LineHistory? _lineHistory;
    private long _chunkStart;
    private long _chunkEnd;

    // No older version may be given than that of this epoch; with blocks, just that one is.
    private long _fetchEpoch;

    // The versions given so far all stood in memory from the first of these epochs to the second; if the first is the later one, they never did.
    private long _standingFrom;
    private long _standingTo;
    private bool _sawOlder;
    private bool _isPeek;

    public bool HasOneVersion(GuestAddress address, int length)
    {
        if (!FetchesCleanPlainly) return false;

        // A version is chosen for a chunk, also where the store has not come to the byte that is fetched.
        var end = address + length;
        for (var chunk = address.AlignDown(_chunkBytes); chunk != end;)
        {
            // Behind the last line of all comes address 0, which is less than any end: what is left is counted.
            var line = chunk.AlignDown(LineBytes);
            var next = end.Value - line.Value > LineBytes ? line + LineBytes : end;
            if (_dirtyLines.Find(line) is { } history && history.UntouchedFrom((int)(chunk - line)) < RoundUp(next - line, _chunkBytes) - (chunk - line)) return false;
            chunk = next;
        }

        return true;
    }

    public bool IsUpToDate(CpuId cpu) => FetchesCleanPlainly && _model.IcacheCoherent && _floors[cpu.Index] == _newestEpoch;

    public void BeginFetch(CpuId cpu, GuestAddress address, long retiredInRun)
    {
        _isPeek = false;
        Begin(cpu, address, _bounds is null ? 0 : _progress.RetiredBy(cpu) + retiredInRun);
    }

    public int FetchByte(int index)
    {
        var address = _fetchStart + index;
        var at = (long)address.Value;
        if (at < _chunkStart || at >= _chunkEnd)
        {
            if (!address.IsInWindow || (_memory.PageFlags[GuestMemory.PageOf(address)] & (byte)PagePermissions.Execute) == 0) return -1;
            ChooseChunk(address);
        }

        return _chunk[at - _chunkStart];
    }

    public FetchCoherence EndFetch(ReadOnlySpan<byte> instruction, bool isBranch, bool isObserved)
    {
        _bounds?.EndFetch(_fetchCpu, _fetchStart, instruction.Length, isBranch, _fetchRetired);
        if (_fetchesWhole) _captureMoments[_fetchCpu] = Math.Max(_captureMoments[_fetchCpu], _standingFrom);
        if (!_sawOlder || !(isObserved || _model.TornDecode == TornDecode.AnyException)) return default;
        var isStale = !instruction.SequenceEqual(new(_memory.Origin + (long)_fetchStart.Value, instruction.Length));
        return new(isStale, IsTorn: _standingFrom >= _standingTo && !StoodInMemory(instruction));
    }

    public int? FaultOf(FetchCoherence coherence)
    {
        if (!coherence.IsTorn || _model.TornDecode != TornDecode.AnyException) return null;
        return _choices.Choose(ChoicePoint.TornInstruction, 3) switch
        {
            0 => null,
            1 => Traps.InvalidOpcode,
            _ => Traps.GeneralProtection,
        };
    }

    /// <summary>The oldest bytes that a CPU may still be given, without asking chance and without changing what it may be given later.</summary>
    public void CopyOldest(CpuId cpu, GuestAddress address, Span<byte> destination)
    {
        if (_dirtyLines.Count == 0)
        {
            new ReadOnlySpan<byte>(_memory.Origin + (long)address.Value, destination.Length).CopyTo(destination);
            return;
        }

        _isPeek = true;
        Begin(cpu, address, _bounds is null ? 0 : _progress.RetiredBy(cpu));
        for (var i = 0; i < destination.Length; i++)
        {
            var at = (long)(address + i).Value;
            if (at < _chunkStart || at >= _chunkEnd) ChooseChunk(address + i);
            destination[i] = _chunk[at - _chunkStart];
        }
    }

    private static long RoundUp(long bytes, int chunk) => (bytes + chunk - 1) / chunk * chunk;

    private void Begin(CpuId cpu, GuestAddress address, long retired)
    {
        _fetchCpu = cpu.Index;
        _fetchStart = address;
        _fetchRetired = retired;
        _chunkStart = _chunkEnd = long.MinValue;
        _lineStart = NoLine;
        _fetchEpoch = _floors[_fetchCpu];
        if (_bounds is not null) _fetchEpoch = Math.Max(_fetchEpoch, _bounds.EpochFor(_fetchCpu, address, retired, _newestEpoch, _isPeek));
        _standingFrom = _fetchesWhole ? Math.Max(_fetchEpoch, _captureMoments[_fetchCpu]) : 0;
        _standingTo = long.MaxValue;
        _sawOlder = false;
    }

    private void ChooseChunk(GuestAddress address)
    {
        var line = address.AlignDown(LineBytes);
        _chunkStart = (long)address.AlignDown(_chunkBytes).Value;
        _chunkEnd = _chunkStart + _chunkBytes;
        if (line != _lineStart)
        {
            _lineStart = line;
            _lineHistory = _dirtyLines.Find(line);
        }

        if (_lineHistory is not { } history)
        {
            new ReadOnlySpan<byte>(_memory.Origin + _chunkStart, _chunkBytes).CopyTo(_chunk);
            return;
        }

        var start = (int)(_chunkStart - (long)line.Value);
        var end = start + _chunkBytes;

        // Most of a dirty line is what it always was, and an instruction is fetched by bytes: what has one version is taken at once, where it need not be noted what was seen.
        if (_bounds is null && history.UntouchedFrom(start) / _chunkBytes is > 0 and var plainChunks)
        {
            var plainBytes = plainChunks * _chunkBytes;
            _chunkEnd = _chunkStart + plainBytes;
            _standingFrom = Math.Max(_standingFrom, _model.IcacheCoherent ? _fetchEpoch : history.MaintainedBy(_fetchEpoch));
            new ReadOnlySpan<byte>(_memory.Origin + _chunkStart, plainBytes).CopyTo(_chunk);
            return;
        }

        if (_isByBlock)
        {
            _sawOlder |= _fetchEpoch < _newestEpoch;
            history.Copy(start, end, _fetchEpoch, _chunk);
            return;
        }

        var chunk = start / _chunkBytes;
        var floor = Math.Max(_model.IcacheCoherent ? _fetchEpoch : history.MaintainedBy(_fetchEpoch), history.SeenEpoch(_fetchCpu, chunk));
        var oldestClock = _model.StalenessBoundCycles is { } bound ? _progress.ClockOf(new(_fetchCpu)) - bound : long.MinValue;
        var newer = history.CountNewer(start, end, ref floor, oldestClock);
        if (newer == 0)
        {
            _standingFrom = Math.Max(_standingFrom, floor);
            if (_bounds is not null && !_isPeek) history.MarkSeen(_fetchCpu, chunk, floor);
            new ReadOnlySpan<byte>(_memory.Origin + _chunkStart, _chunkBytes).CopyTo(_chunk);
            return;
        }

        var (first, last) = _fetchesWhole ? history.Standing(start, end, floor, _standingFrom, _standingTo) : (0, newer);
        var choice = _isPeek || first == last ? first : first + _choices.Choose(ChoicePoint.FetchVersion, last - first + 1);
        if (choice < newer)
        {
            _sawOlder = true;
            _standingTo = Math.Min(_standingTo, history.EpochOf(start, end, floor, choice + 1));
        }

        if (choice > 0) floor = history.EpochOf(start, end, floor, choice);
        if ((choice > 0 || _bounds is not null) && !_isPeek) history.MarkSeen(_fetchCpu, chunk, floor);
        _standingFrom = Math.Max(_standingFrom, floor);
        history.Copy(start, end, floor, _chunk);
    }

    /// <summary>True when memory has held these bytes together at some time since all CPUs last agreed on their lines.</summary>
    private bool StoodInMemory(ReadOnlySpan<byte> instruction)
    {
        Span<byte> then = stackalloc byte[InstructionFetch.LongestInstruction];
        then = then[..instruction.Length];
        var first = _dirtyLines.Find(_fetchStart);
        var last = _dirtyLines.Find(_fetchStart + (instruction.Length - 1));
        foreach (var epoch in (first?.Epochs ?? []).Concat(last?.Epochs ?? []).Prepend(0))
        {
            var line = _fetchStart.AlignDown(LineBytes);
            var offset = (int)(_fetchStart - line);
            var here = Math.Min(instruction.Length, LineBytes - offset);
            CopyAt(line, offset, epoch, then[..here]);
            if (here < instruction.Length) CopyAt(line + LineBytes, 0, epoch, then[here..]);
            if (instruction.SequenceEqual(then)) return true;
        }

        return false;
    }

    private void CopyAt(GuestAddress line, int offset, long epoch, Span<byte> destination)
    {
        if (_dirtyLines.Find(line) is { } history) history.Copy(offset, offset + destination.Length, epoch, destination);
        else new ReadOnlySpan<byte>(_memory.Origin + (long)line.Value + offset, destination.Length).CopyTo(destination);
    }
}
