using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>Memory for operations: handed out, never taken back piecemeal, because CPUs and edges point into it.</summary>
internal sealed unsafe class OpArena : IDisposable
{
    private const int FirstChunkSlots = 2048, LargestChunkSlots = 131_072;

    private readonly List<nint> _chunks = [];
    private Op* _next;
    private int _left;

    ~OpArena() => Free();

    public long Bytes { get; private set; }

    public Op* Allocate(int slots)
    {
        if (slots > _left)
        {
            _left = Math.Max(slots, Math.Min(LargestChunkSlots, FirstChunkSlots << Math.Min(_chunks.Count, 6)));
            _next = (Op*)NativeMemory.AllocZeroed((nuint)_left, (nuint)sizeof(Op));
            _chunks.Add((nint)_next);
            Bytes += (long)_left * sizeof(Op);
        }

        var start = _next;
        _next += slots;
        _left -= slots;
        return start;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        foreach (var chunk in _chunks) NativeMemory.Free((void*)chunk);
        _chunks.Clear();
        _left = 0;
    }
}
