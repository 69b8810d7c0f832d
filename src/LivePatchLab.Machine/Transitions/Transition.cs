namespace LivePatchLab.Machine;

/// <summary>What a machine that is explored can do next.</summary>
public enum TransitionKind : byte
{
    /// <summary>A CPU goes on with what it does: work of its own up to and with the first act that another CPU could notice.</summary>
    Step,

    /// <summary>A CPU takes the function-call IPI that was sent to it first.</summary>
    TakeIpi,

    /// <summary>A store leaves a CPU's store buffer.</summary>
    Drain,

    /// <summary>A CPU takes an interrupt that was armed for it.</summary>
    TakeInterrupt,

    /// <summary>A CPU takes a non-maskable interrupt that was armed for it.</summary>
    TakeNmi,
}

/// <summary>One thing that a machine can do next. The same thing has the same value for as long as it can be done.</summary>
/// <param name="Cpu">Who does it.</param>
/// <param name="Kind">What.</param>
/// <param name="Slot">Which of several: the variable of a store, the number of an armed interrupt.</param>
public readonly record struct Transition(CpuId Cpu, TransitionKind Kind, int Slot = 0)
{
    /// <summary>True when it need not ever happen.</summary>
    public bool IsOptional => Kind is TransitionKind.TakeInterrupt or TransitionKind.TakeNmi;

    /// <summary>Searches compare them at every step.</summary>
    public bool Equals(Transition other) => Cpu.Index == other.Cpu.Index && Kind == other.Kind && Slot == other.Slot;

    public override int GetHashCode() => (Cpu.Index * 8) + (int)Kind + (Slot * 512);

    public override string ToString() => $"{Cpu} {Kind}{(Slot == 0 ? "" : $" {Slot}")}";
}
