namespace LivePatchLab.Machine;

/// <summary>
/// The 64-byte lines that were written to since a machine was brought back, by all but guests' stores to pages that they may write to. Of the code of an explored
/// machine an execution changes a few lines, and it is brought back half a million times.
/// </summary>
internal sealed class StoredLines
{
    public const int LineBytes = 64;

    private const int LinesMax = 64;

    private readonly ulong[] _lines = new ulong[LinesMax];
    private int _count;

    /// <summary>True where there were more than are kept, and any line may have been written to.</summary>
    public bool IsAnywhere { get; private set; }

    public ReadOnlySpan<ulong> Lines => _lines.AsSpan(0, _count);

    public void Add(GuestAddress address, int length)
    {
        foreach (var line in new CodeSpan(address.Value, length).Lines)
        {
            if (_count == LinesMax)
            {
                IsAnywhere = true;
                return;
            }

            if (_count == 0 || _lines[_count - 1] != line) _lines[_count++] = line;
        }
    }

    /// <summary>Permissions have changed: a page that no guest can write to now may have been written to before.</summary>
    public void AddAll() => IsAnywhere = true;

    public void Clear()
    {
        _count = 0;
        IsAnywhere = false;
    }
}
