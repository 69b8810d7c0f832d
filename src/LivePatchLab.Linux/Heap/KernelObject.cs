using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>An object of the kernel's heap. It is read, written and freed by steps only.</summary>
public sealed class KernelObject<T>
{
    private readonly KernelHeap _heap;
    private readonly T _poison;

    internal KernelObject(KernelHeap heap, string name, T value, T poison)
    {
        _heap = heap;
        _poison = poison;
        Name = name;
        Value = value;
    }

    public string Name { get; }

    /// <summary>What lies in memory now, for tests and views; a routine reads it by <see cref="Load"/>.</summary>
    public T Value { get; private set; }

    public bool IsFreed { get; private set; }

    /// <summary>A step that reads the object.</summary>
    public LoadObject<T> Load() => new(this);

    /// <summary>A step that writes it.</summary>
    public KernelStep Store(T value) => Update($"= {value}", _ => value);

    /// <summary>A step that reads, changes and writes it as one: a locked operation.</summary>
    public KernelStep Update(string what, Func<T, T> change) => new UpdateObject<T>(this, what, change);

    /// <summary>kfree(): a step after which the memory holds poison.</summary>
    public KernelStep Free() => new FreeObject<T>(this, _poison, "is freed");

    /// <summary>A step after which the memory belongs to somebody else, who has written something.</summary>
    /// <param name="reusedAs">What this object's readers find there now.</param>
    public KernelStep Free(T reusedAs) => new FreeObject<T>(this, reusedAs, $"is freed, and its memory used again: {reusedAs}");

    internal T Read(Cpu cpu)
    {
        if (IsFreed) _heap.Report(cpu, Name, "read");
        return Value;
    }

    internal void Write(Cpu cpu, T value)
    {
        if (IsFreed) _heap.Report(cpu, Name, "write");
        Value = value;
    }

    internal void Release(Cpu cpu, T left)
    {
        // kfree() of what is free already is a write to memory of others too.
        if (IsFreed) _heap.Report(cpu, Name, "free");
        IsFreed = true;
        Value = left;
    }
}

/// <summary>A read of an object of the heap; <see cref="Value"/> holds what was read once the step is done.</summary>
public sealed class LoadObject<T>(KernelObject<T> target) : KernelStep
{
    public T Value { get; private set; } = default!;

    public override string Describe() => $"read {target.Name}";

    protected override long Execute(Cpu cpu)
    {
        Value = target.Read(cpu);
        return cpu.Machine.Costs.VariableAccess;
    }
}

internal sealed class UpdateObject<T>(KernelObject<T> target, string what, Func<T, T> change) : KernelStep
{
    public override string Describe() => $"{target.Name} {what}";

    protected override long Execute(Cpu cpu)
    {
        target.Write(cpu, change(target.Value));
        return cpu.Machine.Costs.VariableAccess;
    }
}

internal sealed class FreeObject<T>(KernelObject<T> target, T left, string what) : KernelStep
{
    public override string Describe() => $"{target.Name} {what}";

    protected override long Execute(Cpu cpu)
    {
        target.Release(cpu, left);
        return cpu.Machine.Costs.VariableAccess;
    }
}
