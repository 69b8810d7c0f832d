using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>How an execution ended.</summary>
public enum ExecutionEnd
{
    /// <summary>Nobody has anything left to do, or waits for ever.</summary>
    Complete,

    /// <summary>A checker, a fault or the kernel itself stopped it.</summary>
    Stopped,

    /// <summary>It has had all the transitions that the scenario allows.</summary>
    TooLong,

    /// <summary>The search gave it up: whatever comes has been covered elsewhere.</summary>
    Abandoned,
}

/// <summary>A way through the executions of a scenario.</summary>
public interface IStrategy
{
    /// <summary>As the command line and the magics know it.</summary>
    string Name { get; }

    /// <summary>True when executions are drawn by seed, each for itself, so that many threads can share them.</summary>
    bool IsRandom { get; }

    /// <summary>Begins a search.</summary>
    /// <param name="seed">What all chance of it comes from; a strategy without chance ignores it.</param>
    ISearch Begin(Seed seed);
}

/// <summary>One search at work: it is asked for every decision of every execution. Executions come one after the other.</summary>
public interface ISearch : IChoiceSource
{
    /// <summary>Begins the next execution; false when there is none left.</summary>
    /// <param name="ordinal">How many executions were begun before; a random search draws what belongs to this number.</param>
    bool TryBegin(long ordinal);

    /// <summary>Goes back to the beginning of the execution that has just ended, to run it once more.</summary>
    void Repeat(long ordinal);

    /// <summary>False for a search that does not look at what transitions touched: then nobody needs to write it down.</summary>
    bool WantsAccesses => true;

    /// <summary>
    /// True while the execution begins as the one before it did: this transition comes next, and the search need not be shown what else could be done, nor told
    /// what it touched. Choices that it leaves open are asked all the same.
    /// </summary>
    bool TryGoOnAsBefore(out Transition transition)
    {
        transition = default;
        return false;
    }

    /// <summary>Which of the transitions comes next, by index, or -1 to give the execution up. Asked where there is but one, too.</summary>
    int ChooseTransition(List<Transition> enabled);

    /// <summary>The transition that was chosen last has been performed, and this is what it touched.</summary>
    void Performed(ReadOnlySpan<Access> accesses);

    void End(ExecutionEnd end);

    /// <summary>What was covered, once <see cref="TryBegin"/> has said that nothing is left: "all interleavings", "at most 2 delays".</summary>
    string Bound { get; }

    /// <summary>True when nothing that the bound allows was left out.</summary>
    bool IsExhaustive { get; }
}
