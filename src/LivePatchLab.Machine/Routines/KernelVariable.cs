namespace LivePatchLab.Machine;

/// <summary>A variable of kernel code that several CPUs share. It is read and written by steps only.</summary>
public sealed class KernelVariable<T>(string name, T initial)
{
    private readonly T _initial = initial;
    private List<(Cpu Cpu, KernelRoutine Routine, Func<T, bool> Until)>? _spinning;

    public string Name { get; } = name;

    internal uint Thing { get; } = AccessLog.ThingNamed(name);

    /// <summary>The value in memory, for tests and views; a routine reads it by <see cref="Load"/>.</summary>
    public T Value { get; private set; } = initial;

    /// <summary>A step that reads the variable.</summary>
    public LoadVariable<T> Load() => new(this);

    /// <summary>A step that writes it. May be shared.</summary>
    public StoreVariable<T> Store(T value) => new(this, value);

    /// <summary>A step that reads, changes and writes it as one: a locked operation.</summary>
    public KernelStep Update(string what, Func<T, T> change) => new UpdateVariable<T>(this, change, what);

    /// <summary>A step that reads the variable again and again until it holds what is wanted.</summary>
    public KernelStep SpinUntil(string what, Func<T, bool> until) => new SpinVariable<T>(this, until, what);

    /// <summary>As when it was made, and nobody waits for it: for a kernel that boots again on a machine that was brought back.</summary>
    public void Restart()
    {
        Value = _initial;
        _spinning?.Clear();
    }

    /// <summary>A plain store: at once, or through the CPU's store buffer.</summary>
    internal void Store(Cpu writer, T value)
    {
        if (writer.Machine.MemoryOrder == MemoryOrder.SequentiallyConsistent) Write(writer, value);
        else writer.Buffer(new BufferedVariable<T>(this, value));
    }

    /// <summary>What this CPU sees: its own youngest store, or what all see.</summary>
    internal T Read(Cpu reader)
    {
        reader.Machine.Accesses?.Read(Thing);
        return reader.YoungestStoreOf(this) is BufferedVariable<T> own ? own.Value : Value;
    }

    internal void Write(Cpu writer, T value)
    {
        writer.Machine.Accesses?.Write(Thing);
        writer.NoteAct();
        Value = value;
        if (_spinning is null) return;
        for (var i = _spinning.Count - 1; i >= 0; i--)
        {
            var (cpu, routine, until) = _spinning[i];
            if (!until(value)) continue;
            _spinning.RemoveAt(i);
            cpu.Wake(routine, writer.ClockCycles + cpu.Machine.Costs.CacheMiss);
        }
    }

    internal void Spin(Cpu cpu, Func<T, bool> until)
    {
        cpu.DrainStores();
        cpu.Machine.Accesses?.Read(Thing);
        if (until(Value)) return;
        (_spinning ??= []).Add((cpu, cpu.Block(), until));
    }

    internal static string Show(T value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        Delegate => "function",
        System.Collections.ICollection entries => $"{entries.Count} entries",
        _ => value.ToString() ?? "",
    };
}

/// <summary>A read of a kernel variable; <see cref="Value"/> holds what was read once the step is done.</summary>
public sealed class LoadVariable<T>(KernelVariable<T> variable) : KernelStep
{
    public T Value { get; private set; } = default!;

    public override string Describe() => $"read {variable.Name}";

    protected internal override long Execute(Cpu cpu)
    {
        Value = variable.Read(cpu);
        return cpu.Machine.Costs.VariableAccess;
    }
}

/// <summary>A write of a kernel variable.</summary>
public sealed class StoreVariable<T>(KernelVariable<T> variable, T value) : KernelStep
{
    /// <summary>What is written. Whoever has the step to himself may set it anew once the step is done, and yield the step again.</summary>
    public T Value { get; set; } = value;

    public override string Describe() => $"{variable.Name} = {KernelVariable<T>.Show(Value)}";

    protected internal override long Execute(Cpu cpu)
    {
        variable.Store(cpu, Value);
        return cpu.Machine.Costs.VariableAccess.Cycles;
    }
}

/// <summary>A store to a variable that the others do not see yet.</summary>
internal sealed class BufferedVariable<T>(KernelVariable<T> variable, T value) : BufferedStore
{
    public T Value => value;

    public override object Variable => variable;

    public override uint Thing => variable.Thing;

    public override void Commit(Cpu cpu) => variable.Write(cpu, value);

    public override string Describe() => $"{variable.Name} = {KernelVariable<T>.Show(value)} reaches memory";
}

internal sealed class UpdateVariable<T>(KernelVariable<T> variable, Func<T, T> change, string what) : KernelStep
{
    public override string Describe() => $"{variable.Name} {what}";

    protected internal override long Execute(Cpu cpu)
    {
        cpu.DrainStores();
        variable.Write(cpu, change(variable.Value));
        return cpu.Machine.Costs.VariableAccess.Cycles;
    }
}

internal sealed class SpinVariable<T>(KernelVariable<T> variable, Func<T, bool> until, string what) : KernelStep
{
    public override string Describe() => $"spin until {variable.Name} {what}";

    protected internal override long Execute(Cpu cpu)
    {
        variable.Spin(cpu, until);
        return cpu.Machine.Costs.VariableAccess;
    }
}
