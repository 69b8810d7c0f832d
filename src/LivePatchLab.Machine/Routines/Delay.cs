namespace LivePatchLab.Machine;

/// <summary>Work that touches nothing others can see: only its time counts. May be shared.</summary>
public sealed class Delay(long cycles, string what = "work") : KernelStep
{
    /// <summary>How long it takes; 0 where a cost model charges nothing for it.</summary>
    public long Cycles { get; } = cycles;

    public override string Describe() => $"{what}, {Cycles} cycle{(Cycles == 1 ? "" : "s")}";

    protected internal override bool IsQuiet => true;

    protected internal override long Execute(Cpu cpu)
    {
        // Time that passes makes code fresh, where a model says so.
        if (cpu.Machine.Accesses is { } log && Cycles > 0 && cpu.Machine.Fetch.StalenessBoundCycles is not null)
            foreach (var other in cpu.Machine.Cpus) log.Write(AccessLog.FloorOf(other.Id.Index));
        return Cycles;
    }
}
