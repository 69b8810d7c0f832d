namespace LivePatchLab.Machine;

/// <summary>How #BP enters its handler.</summary>
public enum GateType
{
    /// <summary>Interrupts are off in the handler, as in Linux since the INT3 protocols exist: an IPI waits for its IRET.</summary>
    Interrupt,

    /// <summary>Interrupts stay as they were: an IPI can be acknowledged from inside the handler.</summary>
    Trap,
}

/// <summary>What a store to code does to the instructions that other CPUs may have fetched already.</summary>
public enum RemoteSnoop
{
    /// <summary>Nothing until they serialise: the worst that the manuals allow.</summary>
    None,

    /// <summary>It drops what they have fetched and not decoded yet. What is decoded runs on as it was, whole instructions only.</summary>
    InvalidateFetchable,

    /// <summary>Every CPU sees the new bytes at once.</summary>
    FlushAll,
}

/// <summary>Which of its own stores a CPU's fetch sees at once.</summary>
public enum LocalSmc
{
    /// <summary>Those through the address that it executes from: what a guest stores. Those through an alias count as somebody else's.</summary>
    SameLinear,

    /// <summary>All of them, through whatever address: the check is by physical line.</summary>
    SamePhysical,

    /// <summary>None: its own stores are seen as somebody else's are.</summary>
    None,
}

/// <summary>What is captured at one moment, before it executes.</summary>
public enum CaptureUnit
{
    /// <summary>Each instruction for itself, within what the other knobs allow.</summary>
    Instruction,

    /// <summary>Straight code up to its branch, when it is entered, as a translator does. Nothing is left to chance then.</summary>
    Block,
}

/// <summary>What becomes of an instruction whose bytes memory never held together.</summary>
public enum TornDecode
{
    /// <summary>It executes as the bytes that were mixed.</summary>
    MixBytes,

    /// <summary>It executes so, or raises #UD or #GP instead: the erratum "Unsynchronized Cross-Modifying Code Operations".</summary>
    AnyException,
}
