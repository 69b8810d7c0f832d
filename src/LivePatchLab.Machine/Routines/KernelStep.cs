namespace LivePatchLab.Machine;

/// <summary>
/// One step of kernel code that the lab provides. A kernel routine is an iterator of steps and runs on an emulated CPU: each
/// step costs cycles there, and between two steps other CPUs may run, take traps, and answer IPIs.
/// </summary>
/// <remarks>A step object belongs to one run of one routine, unless its documentation says that it may be shared.</remarks>
public abstract class KernelStep
{
    /// <summary>What the step is, in a few words, for traces: "int3 -> ffffffff81001c10".</summary>
    public abstract string Describe();

    /// <summary>True for a step that nobody else can notice, and that notices nobody: exploration need not come between it and its neighbours.</summary>
    protected internal virtual bool IsQuiet => false;

    /// <summary>Does the step on a CPU. A step that must wait calls <see cref="Cpu.Block"/>.</summary>
    /// <returns>The cycles that it takes, without any waiting.</returns>
    protected internal abstract long Execute(Cpu cpu);

    /// <summary>Called when the wait of a step that blocked is over, before the routine goes on.</summary>
    /// <returns>The cycles that this takes.</returns>
    protected internal virtual long Resume(Cpu cpu) => 0;

    /// <summary>Calls another routine: its steps run here, one by one, before the caller goes on.</summary>
    public static KernelStep Call(IEnumerable<KernelStep> steps) => new Subroutine(steps);

    /// <summary>Steps that follow each other with nothing to decide between them; the call may be yielded again and again by its routine.</summary>
    public static KernelStep Call(KernelStep[] steps) => new Subroutine(steps);

    public override string ToString() => Describe();
}
