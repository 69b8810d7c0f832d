namespace LivePatchLab.Linux;

/// <summary>What a kernel has met that gives up.</summary>
public enum BugKind
{
    /// <summary>BUG_ON(): something that the code itself says can never be.</summary>
    Assertion,

    /// <summary>A pointer to what is there no more: null, or garbage.</summary>
    DanglingPointer,

    /// <summary>Memory that had been freed.</summary>
    UseAfterFree,

    /// <summary>An index beyond the end of an array.</summary>
    OutOfBounds,

    /// <summary>A stack that was written over, or is not there.</summary>
    Stack,
}
