using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>One access to memory that had been freed.</summary>
/// <param name="Cpu">Who made it.</param>
/// <param name="ClockCycles">When, by that CPU's clock.</param>
/// <param name="Object">The name of what had lain there.</param>
/// <param name="Access">What was done: "read", "write", or "free" for the second time.</param>
public sealed record UseAfterFree(CpuId Cpu, long ClockCycles, string Object, string Access)
{
    public override string ToString() => $"use after free: {Cpu} {Access}s {Object}";
}

/// <summary>
/// Memory that a kernel allocates, frees and uses again: descriptors that a handler may still hold. What is freed holds a poison, or what its next
/// owner wrote; whoever reads it all the same gets that, as on a real machine, and the lab says so.
/// </summary>
public sealed class KernelHeap
{
    /// <summary>POISON_FREE of include/linux/poison.h: what SLUB fills freed objects with.</summary>
    public const byte PoisonFree = 0x6b;

    private readonly LinuxKernel _kernel;
    private readonly List<UseAfterFree> _usesAfterFree = [];

    private KernelHeap(LinuxKernel kernel) => _kernel = kernel;

    public static KernelHeap In(LinuxKernel kernel) => kernel.Globals(k => new KernelHeap(k));

    /// <summary>Every use after free so far, in the order of their happening.</summary>
    public IReadOnlyList<UseAfterFree> UsesAfterFree => _usesAfterFree;

    /// <summary>True, as with KASAN and panic_on_warn, when the first use after free is the machine's end; false lets it run on with what it has read.</summary>
    public bool StopsAtUseAfterFree { get; set; } = true;

    /// <summary>A new object, for one owner until it is freed.</summary>
    /// <param name="name">For traces and reports.</param>
    /// <param name="value">What it holds at first.</param>
    /// <param name="poison">What it holds when it is freed and nobody has taken the memory again.</param>
    public KernelObject<T> Allocate<T>(string name, T value, T poison) => new(this, name, value, poison);

    /// <summary>A new object that is a number.</summary>
    public KernelObject<int> Allocate(string name, int value) => Allocate(name, value, poison: PoisonFree * 0x01010101);

    internal void Report(Cpu cpu, string name, string access)
    {
        var use = new UseAfterFree(cpu.Id, cpu.ClockCycles, name, access);
        _usesAfterFree.Add(use);
        if (!StopsAtUseAfterFree) return;
        _kernel.RaiseBug(use.ToString(), BugKind.UseAfterFree);
        cpu.Machine.RequestStop();
    }
}
