namespace LivePatchLab.Machine;

/// <summary>A run of kernel code on a CPU, from <see cref="Cpu.Start"/> to its last step.</summary>
public sealed class KernelRoutine
{
    internal KernelRoutine(string name, IEnumerator<KernelStep> steps, RoutineKind kind)
    {
        Name = name;
        Steps = steps;
        Kind = kind;
    }

    public string Name { get; }

    public bool IsComplete { get; internal set; }

    /// <summary>The CPU's clock when the last step was done.</summary>
    public long CompletedClockCycles { get; internal set; }

    internal IEnumerator<KernelStep> Steps { get; }

    internal RoutineKind Kind { get; }

    /// <summary>True while the current step waits for others.</summary>
    internal bool IsBlocked { get; set; }

    /// <summary>True between the first <see cref="KernelStep.Execute"/> of a blocking step and its <see cref="KernelStep.Resume"/>.</summary>
    internal bool MustResume { get; set; }

    /// <summary>What the current step still takes: interrupts come in between, and then it goes on.</summary>
    internal long BusyCycles { get; set; }

    internal long WakeClockCycles { get; set; }

    internal TrapFrame? Frame { get; init; }

    internal IpiRound? Round { get; init; }

    internal bool InterruptsWereEnabled { get; init; }

    internal long EnteredClockCycles { get; init; }
}

internal enum RoutineKind
{
    Task,
    Interrupt,
    Trap,
}
