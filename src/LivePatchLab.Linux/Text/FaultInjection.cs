namespace LivePatchLab.Linux;

/// <summary>Where a patcher can be made to fail.</summary>
public enum FaultPoint
{
    /// <summary>A read of text: probe_kernel_read().</summary>
    Read,

    /// <summary>A write of text: text_poke(), probe_kernel_write().</summary>
    Write,

    /// <summary>A callback of the patcher's client.</summary>
    Callback,
}

/// <summary>Failures made on purpose: the n-th operation of a kind returns an error and does nothing.</summary>
public sealed class FaultInjection
{
    private static readonly int Points = Enum.GetValues<FaultPoint>().Length;

    private List<(FaultPoint Point, long Ordinal, int Errno)>? _faults;
    private readonly long[] _counts = new long[Points];

    /// <summary>True when some operation is to fail.</summary>
    public bool HasFaults => _faults is not null;

    /// <summary>How many operations of a kind have been tried, failed ones included.</summary>
    public long CountOf(FaultPoint point) => _counts[(int)point];

    /// <summary>Has one operation fail.</summary>
    /// <param name="point">The kind of operation.</param>
    /// <param name="ordinal">Which of its kind, from 1.</param>
    /// <param name="errno">The negative error number that it returns.</param>
    public FaultInjection Fail(FaultPoint point, long ordinal, int errno)
    {
        if (errno >= 0) throw new ArgumentOutOfRangeException(nameof(errno), errno, "an injected error number is negative, as functions return it");
        if (ordinal < 1) throw new ArgumentOutOfRangeException(nameof(ordinal), ordinal, "operations are counted from 1");
        (_faults ??= []).Add((point, ordinal, errno));
        return this;
    }

    /// <summary>Nothing has been tried, and nothing is to fail.</summary>
    public void Restart()
    {
        _faults = null;
        Array.Clear(_counts);
    }

    /// <summary>Counts an operation; its injected error, or 0 where it may go on.</summary>
    public int Try(FaultPoint point)
    {
        var ordinal = ++_counts[(int)point];
        if (_faults is null) return Errno.Success;
        foreach (var fault in _faults)
            if (fault.Point == point && fault.Ordinal == ordinal) return fault.Errno;
        return Errno.Success;
    }
}
