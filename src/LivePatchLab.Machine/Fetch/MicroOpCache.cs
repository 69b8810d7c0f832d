namespace LivePatchLab.Machine;

/// <summary>
/// The lines of which one CPU keeps decoded instructions, and at which of their bytes those begin. Only dirty lines are kept track of.
/// Of what a CPU executed while a line was clean nothing is known, so a line that becomes dirty counts as known at every byte.
/// </summary>
internal sealed class MicroOpCache(int linesMax)
{
    // Most recently used last.
    private readonly List<(ulong Line, ulong Starts)> _lines = [];

    public bool Holds(GuestAddress instruction)
    {
        var at = IndexOf(instruction);
        return at >= 0 && (_lines[at].Starts & StartBit(instruction)) != 0;
    }

    public void AddWholeLine(GuestAddress line) => Add(line, ulong.MaxValue);

    /// <summary>An instruction has been decoded, or used again.</summary>
    public void Add(GuestAddress instruction) => Add(instruction, StartBit(instruction));

    public void Clear() => _lines.Clear();

    private void Add(GuestAddress address, ulong starts)
    {
        var at = IndexOf(address);
        if (at >= 0)
        {
            starts |= _lines[at].Starts;
            _lines.RemoveAt(at);
        }
        else if (_lines.Count == linesMax)
        {
            _lines.RemoveAt(0);
        }

        _lines.Add((address.AlignDown(LineHistory.LineBytes).Value, starts));
    }

    private int IndexOf(GuestAddress address)
    {
        var line = address.AlignDown(LineHistory.LineBytes).Value;
        return _lines.FindLastIndex(entry => entry.Line == line);
    }

    private static ulong StartBit(GuestAddress address) => 1UL << (int)(address.Value % LineHistory.LineBytes);
}
