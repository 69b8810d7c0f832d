using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// A situation to explore: what lies in memory, who runs on which CPU, and what must hold. Small on purpose: every execution of it runs to its end,
/// and a search runs it a million times. What differs between executions is asked of the machine's choices, never kept in the scenario.
/// </summary>
public abstract class Scenario
{
    public abstract string Name { get; }

    /// <summary>CPUs of the machine.</summary>
    public virtual int Cpus => 2;

    /// <summary>How stores of kernel variables become visible to other CPUs.</summary>
    public virtual MemoryOrder MemoryOrder => MemoryOrder.SequentiallyConsistent;

    /// <summary>An execution with more transitions than this has gone astray, and is reported as such.</summary>
    public virtual int TransitionsMax => 2_000;

    /// <summary>
    /// True where an exception, a BUG or a deadlock that belongs to an invariant that is not checked ends an execution without being reported. Otherwise every one is.
    /// </summary>
    public virtual bool ReportsOnlyWhatIsChecked => false;

    /// <summary>What is checked, under a fetch model.</summary>
    public abstract Invariants CheckedUnder(FetchModel model);

    /// <summary>Maps memory and lays code down, once for each machine; every execution begins with it as it is then.</summary>
    public abstract void LayOut(SmpMachine machine);

    /// <summary>Starts the routines and guests of one execution. Called anew for each, on a machine that is as <see cref="LayOut"/> left it.</summary>
    public abstract void Begin(ScenarioRun run);

    /// <summary>Checkers beside those of the lab for <see cref="CheckedUnder"/>.</summary>
    public virtual IEnumerable<Checker> MakeCheckers() => [];

    /// <summary>Which invariant it was that an exception nobody consumed, or a BUG of the kernel, has shown to be violated; null where its kind tells.</summary>
    public virtual Invariants? ShownByFailure(ScenarioRun run) => null;
}
