namespace LivePatchLab.Machine;

/// <summary>A lock that one CPU's task holds at a time, granted in the order of asking; a waiter lets interrupts in.</summary>
public sealed class KernelLock(string name)
{
    private Queue<(Cpu Cpu, KernelRoutine Routine)>? _waiting;
    private AcquireLock? _acquire;
    private ReleaseLock? _release;
    private readonly uint _thing = AccessLog.ThingNamed(name);

    public string Name { get; } = name;

    /// <summary>Who holds the lock, or null.</summary>
    public CpuId? Owner { get; private set; }

    /// <summary>A step that takes the lock. May be shared.</summary>
    public KernelStep Acquire() => _acquire ??= new AcquireLock(this);

    /// <summary>A step that gives it up. May be shared.</summary>
    public KernelStep Release() => _release ??= new ReleaseLock(this);

    /// <summary>As when it was made, and nobody waits for it: for a kernel that boots again on a machine that was brought back.</summary>
    public void Restart()
    {
        Owner = null;
        _waiting?.Clear();
    }

    /// <summary>lockdep_assert_held()</summary>
    /// <exception cref="InvalidOperationException">Nobody holds the lock: the calling code is wrong.</exception>
    public void AssertHeld()
    {
        if (Owner is null) throw new InvalidOperationException($"{Name} must be held here: take it with Acquire() before, as the kernel's own callers do");
    }

    internal void Take(Cpu cpu)
    {
        cpu.DrainStores();
        cpu.Machine.Accesses?.Write(_thing);
        cpu.NoteAct();
        if (Owner is null) Owner = cpu.Id;
        else (_waiting ??= new()).Enqueue((cpu, cpu.Block()));
    }

    internal void Give(Cpu cpu)
    {
        cpu.DrainStores();
        cpu.Machine.Accesses?.Write(_thing);
        cpu.NoteAct();
        if (Owner != cpu.Id) throw new InvalidOperationException($"{cpu.Id} gives up {Name}, which {Owner?.ToString() ?? "nobody"} holds");
        if (_waiting is null || !_waiting.TryDequeue(out var next))
        {
            Owner = null;
            return;
        }

        Owner = next.Cpu.Id;
        next.Cpu.Wake(next.Routine, cpu.ClockCycles + cpu.Machine.Costs.CacheMiss);
    }
}

internal sealed class AcquireLock(KernelLock target) : KernelStep
{
    public override string Describe() => $"lock {target.Name}";

    protected internal override long Execute(Cpu cpu)
    {
        target.Take(cpu);
        return cpu.Machine.Costs.VariableAccess;
    }
}

internal sealed class ReleaseLock(KernelLock target) : KernelStep
{
    public override string Describe() => $"unlock {target.Name}";

    protected internal override long Execute(Cpu cpu)
    {
        target.Give(cpu);
        return cpu.Machine.Costs.VariableAccess;
    }
}
