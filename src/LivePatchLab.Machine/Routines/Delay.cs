namespace LivePatchLab.Machine;

/// <summary>Work that touches nothing others can see: only its time counts. May be shared.</summary>
public sealed class Delay(long cycles, string what = "work") : KernelStep
{
    public override string Describe() => $"{what}, {cycles} cycles";

    protected internal override long Execute(Cpu cpu) => cycles;
}
