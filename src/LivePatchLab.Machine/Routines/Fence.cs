namespace LivePatchLab.Machine;

/// <summary>
/// A memory barrier. Where the machine's data is sequentially consistent, which is stronger than the x86-TSO that kernel code
/// counts on, a fence only takes its time; where stores are buffered, all but the read barrier wait until the buffer is empty. Shared: the
/// instances below serve all routines.
/// </summary>
public sealed class Fence : KernelStep
{
    private readonly string _name;
    private readonly bool _ordersStores;

    private Fence(string name, bool ordersStores) => (_name, _ordersStores) = (name, ordersStores);

    /// <summary>smp_rmb()</summary>
    public static Fence Read { get; } = new("smp_rmb", ordersStores: false);

    /// <summary>smp_wmb()</summary>
    public static Fence Write { get; } = new("smp_wmb", ordersStores: true);

    /// <summary>smp_mb()</summary>
    public static Fence Full { get; } = new("smp_mb", ordersStores: true);

    public override string Describe() => _name;

    protected internal override bool IsQuiet => true;

    protected internal override long Execute(Cpu cpu)
    {
        if (_ordersStores) cpu.DrainStores();
        return cpu.Machine.Costs.Fence;
    }
}
