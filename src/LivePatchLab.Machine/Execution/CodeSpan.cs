namespace LivePatchLab.Machine;

/// <summary>A stretch of code, which may go over the end of all addresses to 0, as the upper half of the window does to the lower.</summary>
internal readonly record struct CodeSpan(ulong Start, int Length)
{
    private const int LineShift = 6, PageShift = 12;

    /// <summary>The first address of each 64-byte line that it has a byte of.</summary>
    public Parts Lines => new(this, LineShift);

    /// <summary>The first address of each page that it has a byte of.</summary>
    public Parts Pages => new(this, PageShift);

    /// <summary>What it lies in, of 2^<paramref name="shift"/> bytes each. They are counted, for the last may have a lesser address than the first.</summary>
    public struct Parts(CodeSpan span, int shift)
    {
        private readonly ulong _first = span.Start & ~((1UL << shift) - 1);
        private readonly int _last = (int)(((span.Start & ((1UL << shift) - 1)) + (ulong)span.Length - 1) >> shift);
        private int _index = -1;

        public readonly ulong Current => _first + ((ulong)_index << shift);

        public readonly Parts GetEnumerator() => this;

        public bool MoveNext() => _index++ < _last;
    }
}
