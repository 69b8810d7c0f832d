using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The fetch model at work: which bytes each CPU may see as instructions. Stores to code are numbered by epochs; a CPU's floor
/// is the epoch at which it last serialised; a line is dirty while some CPU's floor is older than the line's last store.
/// Clean code costs nothing: the interpreter comes here for dirty lines only.
/// </summary>
internal sealed unsafe partial class CodeVersions : ICodeSource
{
    private const int LineBytes = LineHistory.LineBytes;

    private const int LongQueue = 64;

    private readonly GuestMemory _memory;
    private readonly FetchModel _model;
    private readonly IChoiceSource _choices;
    private readonly ICpuProgress _progress;
    private readonly FetchBounds? _bounds;
    private readonly int _chunkBytes;
    private readonly bool _tracksVersions;
    private readonly DirtyLines _dirtyLines;
    private readonly long[] _floors;
    private readonly bool[] _offline;
    private long _newestEpoch;
    private int _onlineCount;
    private int _behindCount;

    public CodeVersions(GuestMemory memory, FetchModel model, IChoiceSource choices, int cpus, ICpuProgress progress)
    {
        _memory = memory;
        _dirtyLines = new(memory);
        _model = model;
        _choices = choices;
        _progress = progress;
        _chunkBytes = model.AtomicChunkBytes;
        _isByBlock = model.CaptureUnit == CaptureUnit.Block;

        // Only a cache that is kept coherent is snooped at all.
        var snoop = model.IcacheCoherent ? model.RemoteSnoop : RemoteSnoop.None;
        _tracksVersions = _isByBlock || snoop != RemoteSnoop.FlushAll;
        _fetchesWhole = !_isByBlock && snoop == RemoteSnoop.InvalidateFetchable;
        if (_tracksVersions) _bounds = FetchBounds.Of(model, snoop != RemoteSnoop.None, cpus, progress);
        _captureMoments = new long[cpus];
        _floors = new long[cpus];
        _offline = new bool[cpus];
        _onlineCount = cpus;
    }

    /// <summary>
    /// True when every instruction that a CPU retires, of whatever code, can change what it may be given next. A queue that holds more than explored
    /// programs have is as good as one without an end.
    /// </summary>
    public bool FollowsEveryInstruction => _isByBlock || (_bounds is not null && _model.QueueDepth is < LongQueue);

    /// <summary>A window, a queue, a cache of decoded code or a block is told of every instruction; without any of them, what is fetched of clean code is the same at any time.</summary>
    public bool FetchesCleanPlainly => _bounds is null && !_fetchesWhole;

    /// <summary>Called with the address of each line whose decoded blocks no longer hold.</summary>
    public Action<GuestAddress>? LineChanged { get; set; }

    /// <summary>How many stores to code there have been; where lines must be maintained, that counts too.</summary>
    public long NewestEpoch => _newestEpoch;

    /// <summary>How many lines some CPU may still see an older version of.</summary>
    public int DirtyLineCount => _dirtyLines.Count;

    public long FloorOf(CpuId cpu) => _floors[cpu.Index];

    /// <summary>Writes bytes that CPUs may fetch as code. Data sees them at once; each chunk touched gets a new version.</summary>
    /// <remarks>The bytes of one call that fall into one chunk appear together; those of different chunks need not.</remarks>
    public void Store(CpuId writer, GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        Store(writer, address, bytes, guest: null);
        if (_model.LocalSmc == LocalSmc.SamePhysical) ShowOwn(writer, address, bytes.Length);
    }

    public void StoreByGuest(CpuId cpu, GuestAddress address, ReadOnlySpan<byte> bytes, long retiredInRun)
    {
        Store(cpu, address, bytes, _bounds is null ? null : (cpu.Index, _progress.RetiredBy(cpu) + retiredInRun));

        // A processor notices stores to what it has prefetched itself (SDM volume 3, "Self-Modifying Code").
        if (_model.LocalSmc != LocalSmc.None) ShowOwn(cpu, address, bytes.Length);
    }

    /// <summary>An event that serialises, or is asked to: the CPU can no longer see anything older than now.</summary>
    public void Serialise(CpuId cpu)
    {
        _bounds?.Serialise(cpu.Index);
        ref var floor = ref _floors[cpu.Index];
        if (floor == _newestEpoch) return;
        floor = _newestEpoch;
        if (!_offline[cpu.Index]) LeaveBehind();
    }

    /// <summary>The CPU leaves the straight path, for a handler or back from one, without serialising.</summary>
    public void Redirect(CpuId cpu) => _bounds?.Redirect(cpu.Index);

    /// <summary>For an instruction cache that is not coherent: what these lines hold now is what a CPU fetches from them once it has serialised.</summary>
    public void Maintain(GuestAddress address, int length)
    {
        if (_model.IcacheCoherent) return;
        var isNews = false;
        foreach (var line in new CodeSpan(address.Value, length).Lines)
        {
            if (_dirtyLines.Find(new(line)) is not { IsMaintained: false } history) continue;
            if (!isNews) _newestEpoch++;
            isNews = true;
            history.Maintain(_newestEpoch);
        }

        if (isNews) _behindCount = _onlineCount;
    }

    /// <summary>A CPU that will never fetch again does not keep lines dirty.</summary>
    public void TakeOffline(CpuId cpu)
    {
        if (_offline[cpu.Index]) return;
        _offline[cpu.Index] = true;
        _onlineCount--;
        if (_floors[cpu.Index] != _newestEpoch) LeaveBehind();
    }

    /// <summary>
    /// Forgets all that has happened: there is one version of everything, what memory holds. All CPUs count as online, so those that are
    /// not must be taken offline again. Whoever changed memory to what it was says so to those who have decoded it.
    /// </summary>
    public void Reset()
    {
        if (_onlineCount != _offline.Length)
        {
            Array.Clear(_offline);
            _onlineCount = _offline.Length;
        }

        if (_newestEpoch == 0) return;
        _dirtyLines.Clear();
        Array.Clear(_floors);
        Array.Clear(_captureMoments);
        _bounds?.Reset();
        _newestEpoch = 0;
        _behindCount = 0;
    }

    /// <summary>Whoever has decoded bytes of dirty lines, as those that have one version may be, is to ask again.</summary>
    public void Reconsider()
    {
        foreach (var history in _dirtyLines.Histories) LineChanged?.Invoke(history.Line);
    }

    public bool IsDirty(GuestAddress address) => _dirtyLines.Find(address) is not null;

    private void Store(CpuId writer, GuestAddress address, ReadOnlySpan<byte> bytes, (int Cpu, long Retired)? guest)
    {
        Debug.Assert(_memory.IsMapped(address, bytes.Length), "the caller has checked that the bytes are mapped");
        if (bytes.IsEmpty) return;
        _newestEpoch++;
        _bounds?.NoteStore(_newestEpoch, guest);
        _memory.Stored?.Add(address, bytes.Length);
        var clock = _tracksVersions ? _progress.ClockOf(writer) : 0;
        while (!bytes.IsEmpty)
        {
            var line = address.AlignDown(LineBytes);
            var offset = (int)(address - line);
            var length = Math.Min(bytes.Length, Math.Min(LineBytes - offset, 16));
            if (_tracksVersions) HistoryOf(line).Add(new(_newestEpoch, clock, offset, bytes[..length]));
            Copy(bytes[..length], _memory.Origin + (long)address.Value);
            LineChanged?.Invoke(line);
            address += length;
            bytes = bytes[length..];
        }

        _behindCount = _onlineCount;
    }

    /// <summary>Most stores are an INT3, or the four bytes behind one.</summary>
    private static void Copy(ReadOnlySpan<byte> bytes, byte* to)
    {
        if (bytes.Length == 1) *to = bytes[0];
        else if (bytes.Length == sizeof(uint)) Unsafe.WriteUnaligned(to, MemoryMarshal.Read<uint>(bytes));
        else bytes.CopyTo(new Span<byte>(to, bytes.Length));
    }

    /// <summary>A CPU has stored these bytes in a way that its own fetch notices: it drops what it has captured and sees them.</summary>
    private void ShowOwn(CpuId cpu, GuestAddress address, int length)
    {
        if (!_tracksVersions || !_model.IcacheCoherent) return;
        for (var i = 0; i < length; i++)
        {
            var line = (address + i).AlignDown(LineBytes);
            _dirtyLines.Find(line)?.MarkSeen(cpu.Index, (int)(address + i - line) / _chunkBytes, _newestEpoch);
        }

        _captureMoments[cpu.Index] = _newestEpoch;
        _bounds?.Redirect(cpu.Index);
    }

    private LineHistory HistoryOf(GuestAddress line)
    {
        var history = _dirtyLines.FindOrAdd(line, out var wasClean);
        if (wasClean) _bounds?.NoteDirty(line);
        return history;
    }

    private void LeaveBehind()
    {
        if (--_behindCount > 0 || _dirtyLines.Count == 0) return;
        if (!_model.IcacheCoherent)
        {
            // What has not been maintained stays as uncertain as it was.
            _dirtyLines.RemoveAll(history => history.IsMaintained);
            return;
        }

        _dirtyLines.Clear();
        _bounds?.ForgetDecoded();
    }
}
