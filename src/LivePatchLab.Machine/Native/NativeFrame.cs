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

    /// <summary>The guest's OF, in bit 0, while the host's has been used for something else.</summary>
    public const byte Overflow = 32;

    /// <summary>A host register that an instruction has borrowed.</summary>
    public const byte Borrowed = 40;

    /// <summary>Why translated code is being left: a <see cref="NativeExit"/>, or where the jump stands that has no target yet.</summary>
    public const byte Exit = 48;

    /// <summary>The guest's RIP at an exit.</summary>
    public const byte Rip = 56;

    /// <summary>2^64 - 2^32, to which an address of the lower half adds without a carry.</summary>
    public const byte LowLimit = 64;

    /// <summary>2^64 - 1: adding it carries for all but 0.</summary>
    public const byte AllOnes = 72;

    /// <summary>The host's instruction pointer where a fault was raised.</summary>
    public const byte FaultAt = 80;

    /// <summary>Where the signal handler has the thread go on.</summary>
    public const byte FaultStub = 88;

    /// <summary>The guest address that an indirect jump goes to.</summary>
    public const byte Target = 96;

    /// <summary>2^32 and 2^64 - 2^33, by which an address of either half is told from one outside.</summary>
    public const byte WindowOffset = 104, WindowLimit = 112;

    /// <summary>With what the entry pushes, RSP stays aligned.</summary>
    public const byte Bytes = 120;
}

/// <summary>Why translated code came back, when it is not for a jump without a target.</summary>
internal enum NativeExit
{
    /// <summary>The next unit is longer than the budget.</summary>
    Budget,

    /// <summary>An indirect jump to an address that is not in the table.</summary>
    Indirect,

    /// <summary>The instruction at RIP is for the interpreter.</summary>
    Interpret,

    /// <summary>The host refused what an instruction does: <see cref="NativeFrame.FaultAt"/>.</summary>
    Fault,
}
