namespace LivePatchLab.Machine;

/// <summary>Why the chain of handlers came back to the interpreter's loop. What the loop's caller sees is <see cref="ExecutionExit"/>.</summary>
internal enum LeaveReason
{
    /// <summary>The budget does not suffice for <see cref="CpuState.Current"/>, which has not been entered.</summary>
    OutOfBudget,

    /// <summary><see cref="CpuState.Current"/> is the stub of an edge whose target has not been looked up yet.</summary>
    UnlinkedEdge,

    /// <summary>Go on at <see cref="CpuState.Rip"/>.</summary>
    FindRip,

    /// <summary>The operation at <see cref="CpuState.Current"/> must be run alone and carefully: it touches memory in no plain way.</summary>
    NeedsCare,

    /// <summary><see cref="CpuState.Exit"/> and RIP are set: back to the caller.</summary>
    Exited,
}
