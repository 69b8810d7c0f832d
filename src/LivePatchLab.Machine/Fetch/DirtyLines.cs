using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The lines of code that some CPU may still see an older version of, in the order in which they became dirty. A patcher goes through them by
/// address, thousands at a time, and then all become clean together; so they are found by page and line, with no hashing between neighbours.
/// </summary>
/// <param name="memory">Whose pages are flagged while they have a dirty line.</param>
internal sealed unsafe class DirtyLines(GuestMemory memory)
{
    private const int LinesPerPage = GuestMemory.PageBytes / LineHistory.LineBytes;

    /// <summary>Pages that have been dirty keep their slots, up to this many.</summary>
    private const int IdlePagesMax = 16_384;

    private const uint NoPage = uint.MaxValue;

    /// <summary>The first slot of each page that has been dirty.</summary>
    private readonly Dictionary<uint, int> _pages = [];

    /// <summary>For each line of such a page, 1 + the index of its history, or 0 while it is clean.</summary>
    private int[] _slots = new int[LinesPerPage];

    /// <summary>Those of the dirty lines, and behind them spare ones.</summary>
    private readonly List<LineHistory> _histories = [];

    // The page that was asked for last: the next line is mostly in it too.
    private uint _lastPage = NoPage;
    private int _lastPageSlot;

    public int Count { get; private set; }

    /// <summary>What they were and are.</summary>
    public ReadOnlySpan<LineHistory> Histories => CollectionsMarshal.AsSpan(_histories)[..Count];

    /// <summary>The history of a dirty line; null for a clean one.</summary>
    public LineHistory? Find(GuestAddress address)
    {
        if (Count == 0) return null;
        var page = GuestMemory.PageOf(address);
        if (page != _lastPage)
        {
            if (!_pages.TryGetValue(page, out var first)) return null;
            (_lastPage, _lastPageSlot) = (page, first);
        }

        var at = _slots[_lastPageSlot + LineInPage(address)];
        return at == 0 ? null : _histories[at - 1];
    }

    /// <summary>The history of a line, which is dirty from now on.</summary>
    /// <param name="line">Its first byte.</param>
    /// <param name="wasClean">True where the history begins with what memory holds now.</param>
    public LineHistory FindOrAdd(GuestAddress line, out bool wasClean)
    {
        var page = GuestMemory.PageOf(line);
        if (page != _lastPage) (_lastPage, _lastPageSlot) = (page, SlotOf(page));
        var slot = _lastPageSlot + LineInPage(line);
        ref var at = ref _slots[slot];
        wasClean = at == 0;
        if (!wasClean) return _histories[at - 1];

        if (Count == _histories.Count) _histories.Add(new());
        var history = _histories[Count];
        at = ++Count;
        history.Restart(line, slot, memory.Origin + (long)line.Value);
        memory.PageFlags[page] |= PageFlag.Dirty;
        return history;
    }

    /// <summary>All lines are clean.</summary>
    public void Clear()
    {
        foreach (var history in Histories) MakeClean(history);
        Count = 0;
        if (_pages.Count <= IdlePagesMax) return;
        _pages.Clear();
        _slots = new int[LinesPerPage];
        _lastPage = NoPage;
    }

    /// <summary>Some lines are clean; the others keep their order.</summary>
    public void RemoveAll(Predicate<LineHistory> isClean)
    {
        var kept = 0;
        for (var i = 0; i < Count; i++)
        {
            var history = _histories[i];
            if (isClean(history))
            {
                MakeClean(history);
                continue;
            }

            (_histories[kept], _histories[i]) = (history, _histories[kept]);
            _slots[history.Slot] = ++kept;
        }

        Count = kept;
        foreach (var history in Histories) memory.PageFlags[GuestMemory.PageOf(history.Line)] |= PageFlag.Dirty;
    }

    private static int LineInPage(GuestAddress address) => (int)(address.Value / LineHistory.LineBytes) & (LinesPerPage - 1);

    private void MakeClean(LineHistory history)
    {
        _slots[history.Slot] = 0;
        memory.PageFlags[GuestMemory.PageOf(history.Line)] &= unchecked((byte)~PageFlag.Dirty);
    }

    private int SlotOf(uint page)
    {
        ref var first = ref CollectionsMarshal.GetValueRefOrAddDefault(_pages, page, out var exists);
        if (exists) return first;
        first = (_pages.Count - 1) * LinesPerPage;
        if (first + LinesPerPage > _slots.Length) Array.Resize(ref _slots, 2 * _slots.Length);
        return first;
    }
}
