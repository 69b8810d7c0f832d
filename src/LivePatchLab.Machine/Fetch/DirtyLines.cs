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

    /// <summary>The other way round: whose slots these are, <see cref="LinesPerPage"/> of them each.</summary>
    private readonly List<uint> _pageNumbers = [];

    /// <summary>For each line of such a page, 1 + the index of its history, or 0 while it is clean.</summary>
    private int[] _slots = new int[LinesPerPage];

    /// <summary>Those of the dirty lines, and behind them spare ones.</summary>
    private readonly List<LineHistory> _histories = [];

    /// <summary>The slots of the dirty lines, in the same order: making them all clean again need not go to thousands of histories.</summary>
    private readonly List<int> _dirtySlots = [];

    // The page that was asked for last: the next line is mostly in it too.
    private uint _lastPage = NoPage;
    private int _lastPageSlot;

    public int Count => _dirtySlots.Count;

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
        _dirtySlots.Add(slot);
        at = Count;
        history.Restart(line, memory.Origin + (long)line.Value);
        memory.PageFlags[page] |= PageFlag.Dirty;
        return history;
    }

    /// <summary>All lines are clean.</summary>
    public void Clear()
    {
        foreach (var slot in CollectionsMarshal.AsSpan(_dirtySlots)) MakeClean(slot);
        _dirtySlots.Clear();
        if (_pages.Count <= IdlePagesMax) return;
        _pages.Clear();
        _pageNumbers.Clear();
        _slots = new int[LinesPerPage];
        _lastPage = NoPage;
    }

    /// <summary>Some lines are clean; the others keep their order.</summary>
    public void RemoveAll(Predicate<LineHistory> isClean)
    {
        var kept = 0;
        for (var i = 0; i < Count; i++)
        {
            var (history, slot) = (_histories[i], _dirtySlots[i]);
            if (isClean(history))
            {
                MakeClean(slot);
                continue;
            }

            (_histories[kept], _histories[i]) = (history, _histories[kept]);
            _dirtySlots[kept] = slot;
            _slots[slot] = ++kept;
        }

        _dirtySlots.RemoveRange(kept, Count - kept);
        foreach (var history in Histories) memory.PageFlags[GuestMemory.PageOf(history.Line)] |= PageFlag.Dirty;
    }

    private static int LineInPage(GuestAddress address) => (int)(address.Value / LineHistory.LineBytes) & (LinesPerPage - 1);

    private void MakeClean(int slot)
    {
        _slots[slot] = 0;
        memory.PageFlags[_pageNumbers[slot / LinesPerPage]] &= unchecked((byte)~PageFlag.Dirty);
    }

    private int SlotOf(uint page)
    {
        ref var first = ref CollectionsMarshal.GetValueRefOrAddDefault(_pages, page, out var exists);
        if (exists) return first;
        first = _pageNumbers.Count * LinesPerPage;
        _pageNumbers.Add(page);
        if (first + LinesPerPage > _slots.Length) Array.Resize(ref _slots, 2 * _slots.Length);
        return first;
    }
}
