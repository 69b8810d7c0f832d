namespace LivePatchLab.Machine;

/// <summary>
/// A call of one routine from another: its steps run in the caller's place, and then the caller goes on. Takes no time. It is
/// the same as yielding the steps one by one, but each step then passes through one iterator, not through every caller's.
/// </summary>
public sealed class Subroutine(IEnumerable<KernelStep> steps) : KernelStep
{
    public IEnumerable<KernelStep> Steps { get; } = steps;

    public override string Describe() => "call";

    protected internal override long Execute(Cpu cpu) => throw new InvalidOperationException("a subroutine is entered, not executed");
}
