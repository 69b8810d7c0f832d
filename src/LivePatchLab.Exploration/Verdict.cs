namespace LivePatchLab.Exploration;

/// <summary>What an exploration found out about a scenario.</summary>
public enum Verdict
{
    /// <summary>Nothing was violated in what was covered, and the control was caught.</summary>
    Pass,

    /// <summary>An invariant was violated; there is a decision list that shows it.</summary>
    Violation,

    /// <summary>Nothing was violated, but the search was cut short, or its control was not caught: it proves nothing.</summary>
    Inconclusive,

    /// <summary>The scenario asks for something that the machine does not have.</summary>
    Unsupported,
}
