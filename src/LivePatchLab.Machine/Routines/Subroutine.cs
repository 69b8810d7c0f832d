namespace LivePatchLab.Machine;

/// <summary>
/// A call of one routine from another: its steps run in the caller's place, and then the caller goes on. Takes no time. It is
/// the same as yielding the steps one by one, but each step then passes through one iterator, not through every caller's. Steps that
/// follow each other with nothing to decide between them may come as an array: then there is no iterator to pass through at all, and the
/// same call may be yielded again.
/// </summary>
public sealed class Subroutine(IEnumerable<KernelStep> steps) : KernelStep
{
    public IEnumerable<KernelStep> Steps { get; } = steps;

    /// <summary>The steps, where they come as an array and none of them is a call.</summary>
    internal KernelStep[]? Straight { get; } = steps is KernelStep[] array && IsStraight(array) ? array : null;

    public override string Describe() => "call";

    private static bool IsStraight(KernelStep[] steps)
    {
        foreach (var step in steps)
            if (step is Subroutine) return false;
        return true;
    }

    protected internal override long Execute(Cpu cpu) => throw new InvalidOperationException("a subroutine is entered, not executed");
}
