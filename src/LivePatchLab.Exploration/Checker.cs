using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// Watches one invariant in the executions of a scenario. One object serves many executions, one after the other: it takes up what it needs in
/// <see cref="Begin"/>, and reports by <see cref="ScenarioRun.Report"/>, which ends the execution. Looking must change nothing.
/// </summary>
public abstract class Checker
{
    /// <summary>The one that it watches.</summary>
    public abstract Invariants Invariant { get; }

    /// <summary>True for one that looks at <see cref="OnStep"/>; telling it of steps takes time.</summary>
    public virtual bool WantsSteps => false;

    /// <summary>
    /// False for one that forgets each event once it has looked at it: then it is not told again of how an execution begins that begins as another did before.
    /// </summary>
    public virtual bool RemembersEvents => true;

    /// <summary>A new execution has been set up; nothing has run yet.</summary>
    public virtual void Begin(ScenarioRun run)
    {
    }

    /// <summary>
    /// A CPU has fetched, from code of which there may be several versions, an instruction that it will now execute. Where a site is several instructions, and
    /// where the fetch model knows one version only, told of each instruction that was executed, of any code, once it was.
    /// </summary>
    public virtual void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
    }

    /// <summary>
    /// A CPU has executed an instruction, and its RIP points to the next; told only where a site is several instructions. What traps, as INT3 does, is not told.
    /// </summary>
    public virtual void OnRetired(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
    }

    /// <summary>Bytes of code have been stored; memory holds them.</summary>
    public virtual void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
    {
    }

    /// <summary>An exception has been delivered; its handler has not begun.</summary>
    public virtual void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame)
    {
    }

    /// <summary>A step of a kernel routine is about to be done.</summary>
    public virtual void OnStep(ScenarioRun run, Cpu cpu, KernelRoutine routine, KernelStep step)
    {
    }

    /// <summary>The patcher has returned; others may still run.</summary>
    public virtual void OnPatched(ScenarioRun run)
    {
    }

    /// <summary>The execution is over: nobody can go on, or a fault, <see cref="SmpMachine.Fault"/>, or a deadlock has ended it.</summary>
    public virtual void End(ScenarioRun run)
    {
    }
}
