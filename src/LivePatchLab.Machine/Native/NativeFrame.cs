namespace LivePatchLab.Machine;

/// <summary>
/// What stands on the host's stack while translated code runs, by its distance from RSP. RSP never moves there: processors that rename
/// memory (Zen, Golden Cove) then read these places for nothing.
/// </summary>
internal static class NativeFrame
{
    public const byte Cpu = 0;

    /// <summary>The guest's R13, R14 and R15, for which the host has no register left.</summary>
    public const byte R13 = 8, R14 = 16, R15 = 24;

    /// <summary>A host register that an instruction has borrowed.</summary>
    public const byte Borrowed = 32;

    /// <summary>Why translated code is being left: a <see cref="NativeExit"/>, or where the jump stands that has no target yet.</summary>
    public const byte Exit = 40;

    /// <summary>The guest's RIP at an exit.</summary>
    public const byte Rip = 48;

    /// <summary>The host's instruction pointer where a fault was raised.</summary>
    public const byte FaultAt = 56;

    /// <summary>Where the signal handler has the thread go on.</summary>
    public const byte FaultStub = 64;

    /// <summary>Three of the guest's registers while those of the host that they have are the homes of others; see <see cref="RegisterHomes"/>.</summary>
    public const byte Displaced = 72;

    /// <summary>CL before the last shift by it whose flags are not the lab's: <see cref="FlagRepair"/>.</summary>
    public const byte ShiftCount = 96;

    /// <summary>With what the entry pushes, RSP stays aligned.</summary>
    public const byte Bytes = 104;
}

/// <summary>Why translated code came back, when it is not for a jump without a target.</summary>
internal enum NativeExit
{
    /// <summary>What is left of the budget is less than what comes next may need.</summary>
    Budget,

    /// <summary>An indirect jump to an address that is not in the table.</summary>
    Indirect,

    /// <summary>The host refused what an instruction does: <see cref="NativeFrame.FaultAt"/>.</summary>
    Fault,
}
