namespace LivePatchLab.Machine;

/// <summary>Work that touches nothing others can see: only its time counts. May be shared.</summary>
public sealed class Delay(long cycles, string what = "work") : KernelStep
{
    /// <summary>How long it takes; 0 where a cost model charges nothing for it.</summary>
    public long Cycles { get; } = cycles;

    public override string Describe() => $"{what}, {Cycles} cycle{(Cycles == 1 ? "" : "s")}";

    protected internal override long Execute(Cpu cpu) => Cycles;
}
