namespace LivePatchLab.Machine;

/// <summary>
/// What a CPU has captured ahead: straight code from some instruction on. Its floor holds for the next instruction if that stands behind
/// the last one and nothing came in between, which the number of instructions retired gives away.
/// </summary>
internal struct Capture
{
    private bool _isOpen;
    private ulong _next;
    private long _nextRetired;

    /// <summary>The epoch at which it was captured, or the oldest at which it may have been.</summary>
    public long Epoch { get; private set; }

    public void Begin(long epoch)
    {
        Epoch = epoch;
        _isOpen = false;
    }

    /// <summary>It reaches up to here so far; the CPU will have retired so many instructions then.</summary>
    public void ReachTo(GuestAddress next, long retired)
    {
        _isOpen = true;
        _next = next.Value;
        _nextRetired = retired;
    }

    public void End() => _isOpen = false;

    public readonly bool GoesOnAt(GuestAddress instruction, long retired) => _isOpen && _next == instruction.Value && _nextRetired == retired;
}
