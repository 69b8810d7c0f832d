namespace LivePatchLab.Machine;

/// <summary>
/// A few 64-byte lines, by the address of their first byte: a table with open addressing, at most half full. Whether a line is one of them is asked for every
/// instruction that is fetched.
/// </summary>
internal sealed class LineSet
{
    private const int LineShift = 6;

    /// <summary>No address of a line is odd.</summary>
    private const ulong Empty = 1;

    private ulong[] _lines;
    private int _count;

    public LineSet()
    {
        _lines = new ulong[16];
        Array.Fill(_lines, Empty);
    }

    public bool Contains(ulong line) => _lines[SlotOf(line)] == line;

    /// <summary>False where it is one of them already.</summary>
    public bool Add(ulong line)
    {
        var slot = SlotOf(line);
        if (_lines[slot] == line) return false;
        _lines[slot] = line;
        if (2 * ++_count > _lines.Length) Fill(_lines, 2 * _lines.Length);
        return true;
    }

    public void Remove(ulong line)
    {
        var slot = SlotOf(line);
        if (_lines[slot] != line) return;
        _lines[slot] = Empty;
        Fill(_lines, _lines.Length);
    }

    /// <summary>Where it is, or the empty place where it would be.</summary>
    private int SlotOf(ulong line)
    {
        var mask = _lines.Length - 1;
        var slot = (int)(line >> LineShift) & mask;
        while (_lines[slot] != line && _lines[slot] != Empty) slot = (slot + 1) & mask;
        return slot;
    }

    private void Fill(ulong[] from, int places)
    {
        _lines = new ulong[places];
        Array.Fill(_lines, Empty);
        _count = 0;
        foreach (var line in from)
        {
            if (line == Empty) continue;
            _lines[SlotOf(line)] = line;
            _count++;
        }
    }
}
