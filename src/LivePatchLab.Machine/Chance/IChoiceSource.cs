namespace LivePatchLab.Machine;

/// <summary>What a machine may ask of chance.</summary>
public enum ChoicePoint
{
    /// <summary>How many cycles, less one, the CPU that is furthest behind runs before the others are looked at again.</summary>
    Quantum,

    /// <summary>Which of the versions of a code chunk, oldest first, a fetch sees.</summary>
    FetchVersion,

    /// <summary>How many cycles later than its least latency an IPI lands.</summary>
    IpiLatency,

    /// <summary>A number that a workload draws: which function to call, how long to keep interrupts off.</summary>
    Workload,

    /// <summary>Which of the transitions that the machine can take comes next, when it is explored.</summary>
    Schedule,

    /// <summary>What becomes of a torn instruction, where the fetch model leaves it open.</summary>
    TornInstruction,
}

/// <summary>The one door for chance: everything a machine leaves undetermined is asked here, and nowhere else.</summary>
public interface IChoiceSource
{
    /// <summary>A number in [0, <paramref name="alternatives"/>). Never called with fewer than two alternatives.</summary>
    int Choose(ChoicePoint point, int alternatives);
}
