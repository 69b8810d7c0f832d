using System.Diagnostics;

namespace LivePatchLab.Machine;

/// <summary>
/// The fetch model at work: which bytes each CPU may see as instructions. Stores to code are numbered by epochs; a CPU's floor
/// is the epoch at which it last serialised; a line is dirty while some CPU's floor is older than the line's last store.
/// Clean code costs nothing: the interpreter comes here for dirty lines only.
/// </summary>
internal sealed unsafe class CodeVersions : ICodeSource
{
    private const int LineBytes = LineHistory.LineBytes;

    private readonly GuestMemory _memory;
    private readonly FetchModel _model;
    private readonly IChoiceSource _choices;
    private readonly Func<CpuId, long> _clockOf;
    private readonly int _chunkBytes;
    private readonly bool _tracksVersions;
    private readonly Dictionary<int, LineHistory> _dirtyLines = [];
    private readonly List<int> _dirtyKeys = [];
    private readonly Stack<LineHistory> _spareHistories = [];
    private readonly long[] _floors;
    private readonly bool[] _offline;
    private long _newestEpoch;
    private int _onlineCount;
    private int _behindCount;

    // The fetch in progress: its bytes so far, and the version chosen for the chunk of the last of them.
    private readonly byte[] _chunk = new byte[LineBytes];
    private int _fetchCpu;
    private GuestAddress _fetchStart;
    private long _chunkStart;
    private long _chunkEnd;

    public CodeVersions(GuestMemory memory, FetchModel model, IChoiceSource choices, int cpus, Func<CpuId, long> clockOf)
    {
        _memory = memory;
        _model = model;
        _choices = choices;
        _clockOf = clockOf;
        _chunkBytes = model.AtomicChunkBytes;
        _tracksVersions = model.RemoteSnoop != RemoteSnoop.FlushAll;
        _floors = new long[cpus];
        _offline = new bool[cpus];
        _onlineCount = cpus;
    }

    /// <summary>Called with the address of each line whose decoded blocks no longer hold.</summary>
    public Action<GuestAddress>? LineChanged { get; set; }

    /// <summary>How many stores to code there have been.</summary>
    public long NewestEpoch => _newestEpoch;

    /// <summary>How many lines some CPU may still see an older version of.</summary>
    public int DirtyLineCount => _dirtyLines.Count;

    public long FloorOf(CpuId cpu) => _floors[cpu.Index];

    /// <summary>Writes bytes that CPUs may fetch as code. Data sees them at once; each chunk touched gets a new version.</summary>
    /// <remarks>The bytes of one call that fall into one chunk appear together; those of different chunks need not.</remarks>
    public void Store(CpuId writer, GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        Debug.Assert(_memory.IsMapped(address, bytes.Length), "the caller has checked that the bytes are mapped");
        if (bytes.IsEmpty) return;
        _newestEpoch++;
        var clock = _tracksVersions ? _clockOf(writer) : 0;
        while (!bytes.IsEmpty)
        {
            var line = address.AlignDown(LineBytes);
            var offset = (int)(address - line);
            var length = Math.Min(bytes.Length, Math.Min(LineBytes - offset, 16));
            if (_tracksVersions) HistoryOf(line).Add(new(_newestEpoch, clock, offset, bytes[..length]));
            bytes[..length].CopyTo(new Span<byte>(_memory.Origin + (long)address.Value, length));
            LineChanged?.Invoke(line);
            address += length;
            bytes = bytes[length..];
        }

        _behindCount = _onlineCount;
    }

    public void StoreByGuest(CpuId cpu, GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        Store(cpu, address, bytes);

        // A processor notices stores to what it has prefetched itself (SDM volume 3, "Self-Modifying Code").
        if (!_tracksVersions) return;
        for (var i = 0; i < bytes.Length; i++)
        {
            var line = (address + i).AlignDown(LineBytes);
            if (_dirtyLines.TryGetValue(KeyOf(line), out var history))
                history.MarkSeen(cpu.Index, (int)(address + i - line) / _chunkBytes, _newestEpoch);
        }
    }

    /// <summary>An event that serialises, or is asked to: the CPU can no longer see anything older than now.</summary>
    public void Serialise(CpuId cpu)
    {
        ref var floor = ref _floors[cpu.Index];
        if (floor == _newestEpoch) return;
        floor = _newestEpoch;
        if (!_offline[cpu.Index]) LeaveBehind();
    }

    /// <summary>As at the start: one version of everything. Memory is the caller's affair.</summary>
    public void Reset()
    {
        _newestEpoch = 0;
        Array.Clear(_floors);
        Array.Clear(_offline);
        _onlineCount = _floors.Length;
        _behindCount = 1;
        LeaveBehind();
    }

    /// <summary>A CPU that will never fetch again does not keep lines dirty.</summary>
    public void TakeOffline(CpuId cpu)
    {
        if (_offline[cpu.Index]) return;
        _offline[cpu.Index] = true;
        _onlineCount--;
        if (_floors[cpu.Index] != _newestEpoch) LeaveBehind();
    }

    public bool IsDirty(GuestAddress address) => _dirtyLines.Count > 0 && _dirtyLines.ContainsKey(KeyOf(address));

    /// <summary>The oldest bytes that a CPU may still be given, without asking chance and without changing what it may be given later.</summary>
    public void CopyOldest(CpuId cpu, GuestAddress address, Span<byte> destination)
    {
        var oldestClock = _model.StalenessBoundCycles is { } bound ? _clockOf(cpu) - bound : long.MinValue;
        for (var i = 0; i < destination.Length; i++)
        {
            var line = (address + i).AlignDown(LineBytes);
            var at = (int)(address + i - line);
            if (!_dirtyLines.TryGetValue(KeyOf(line), out var history))
            {
                destination[i] = _memory.Origin[(long)(address + i).Value];
                continue;
            }

            var chunk = at / _chunkBytes;
            var floor = Math.Max(_floors[cpu.Index], history.SeenEpoch(cpu.Index, chunk));
            history.CountNewer(chunk * _chunkBytes, (chunk + 1) * _chunkBytes, ref floor, oldestClock);
            history.Copy(at, at + 1, floor, destination.Slice(i, 1));
        }
    }

    public void BeginFetch(CpuId cpu, GuestAddress address)
    {
        _fetchCpu = cpu.Index;
        _fetchStart = address;
        _chunkStart = _chunkEnd = long.MinValue;
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

    private void ChooseChunk(GuestAddress address)
    {
        var line = address.AlignDown(LineBytes);
        _chunkStart = (long)address.AlignDown(_chunkBytes).Value;
        _chunkEnd = _chunkStart + _chunkBytes;
        if (!_dirtyLines.TryGetValue(KeyOf(line), out var history))
        {
            new ReadOnlySpan<byte>(_memory.Origin + _chunkStart, _chunkBytes).CopyTo(_chunk);
            return;
        }

        var start = (int)(_chunkStart - (long)line.Value);
        var end = start + _chunkBytes;
        var chunk = start / _chunkBytes;
        var floor = Math.Max(_floors[_fetchCpu], history.SeenEpoch(_fetchCpu, chunk));
        var oldestClock = _model.StalenessBoundCycles is { } bound ? _clockOf(new(_fetchCpu)) - bound : long.MinValue;
        var newer = history.CountNewer(start, end, ref floor, oldestClock);
        if (newer == 0)
        {
            new ReadOnlySpan<byte>(_memory.Origin + _chunkStart, _chunkBytes).CopyTo(_chunk);
            return;
        }

        var choice = _choices.Choose(ChoicePoint.FetchVersion, newer + 1);
        if (choice > 0)
        {
            floor = history.EpochOf(start, end, floor, choice);
            history.MarkSeen(_fetchCpu, chunk, floor);
        }

        history.Copy(start, end, floor, _chunk);
    }

    private LineHistory HistoryOf(GuestAddress line)
    {
        ref var history = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_dirtyLines, KeyOf(line), out var exists);
        if (exists) return history!;
        history = _spareHistories.TryPop(out var spare) ? spare : new();
        _dirtyKeys.Add(KeyOf(line));
        history.Restart(new(_memory.Origin + (long)line.Value, LineBytes));
        _memory.PageFlags[GuestMemory.PageOf(line)] |= PageFlag.Dirty;
        return history;
    }

    private void LeaveBehind()
    {
        if (--_behindCount > 0 || _dirtyLines.Count == 0) return;

        // One by one: clearing the dictionary would walk all the room that its fullest time has left it.
        foreach (var key in _dirtyKeys)
        {
            _memory.PageFlags[(uint)(key * LineBytes) >> 12] &= unchecked((byte)~PageFlag.Dirty);
            if (_dirtyLines.Remove(key, out var history)) _spareHistories.Push(history);
        }

        _dirtyKeys.Clear();
    }

    private static int KeyOf(GuestAddress address) => (int)address.Value >> 6;
}
