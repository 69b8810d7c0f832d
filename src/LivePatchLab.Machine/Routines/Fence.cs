namespace LivePatchLab.Machine;

/// <summary>
/// A memory barrier. The machine's data is sequentially consistent, which is stronger than the x86-TSO that kernel code
/// counts on, so a fence only takes its time here; it stands where the kernel has it. Shared: the instances below serve all routines.
/// </summary>
public sealed class Fence : KernelStep
{
    private readonly string _name;

    private Fence(string name) => _name = name;

    /// <summary>smp_rmb()</summary>
    public static Fence Read { get; } = new("smp_rmb");

    /// <summary>smp_wmb()</summary>
    public static Fence Write { get; } = new("smp_wmb");

    /// <summary>smp_mb()</summary>
    public static Fence Full { get; } = new("smp_mb");

    public override string Describe() => _name;

    protected internal override long Execute(Cpu cpu) => cpu.Machine.Costs.Fence;
}
