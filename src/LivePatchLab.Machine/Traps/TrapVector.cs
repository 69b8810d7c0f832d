namespace LivePatchLab.Machine;

/// <summary>The exception vectors that the machine raises (Intel SDM volume 3, "Exception and Interrupt Reference").</summary>
public enum TrapVector
{
    /// <summary>#DE</summary>
    DivideError = 0,

    /// <summary>#DB, from RFLAGS.TF or INT1; RIP is behind the instruction.</summary>
    Debug = 1,

    /// <summary>NMI; as a fault, one whose frame the next NMI has overwritten.</summary>
    NonMaskableInterrupt = 2,

    /// <summary>#BP, from INT3; RIP is behind it.</summary>
    Breakpoint = 3,

    /// <summary>#OF, from INT 4 alone: INTO is none of 64-bit mode.</summary>
    Overflow = 4,

    /// <summary>#UD</summary>
    InvalidOpcode = 6,

    /// <summary>#NM, from WAIT.</summary>
    NoCoprocessor = 7,

    /// <summary>#SS</summary>
    StackFault = 12,

    /// <summary>#GP</summary>
    GeneralProtection = 13,

    /// <summary>#PF; the address is in CR2.</summary>
    PageFault = 14,
}

public static class TrapVectors
{
    /// <summary>The SDM's mnemonic, #UD and the like.</summary>
    public static string Mnemonic(this TrapVector vector) => vector switch
    {
        TrapVector.DivideError => "#DE",
        TrapVector.Debug => "#DB",
        TrapVector.NonMaskableInterrupt => "NMI",
        TrapVector.Breakpoint => "#BP",
        TrapVector.Overflow => "#OF",
        TrapVector.InvalidOpcode => "#UD",
        TrapVector.NoCoprocessor => "#NM",
        TrapVector.StackFault => "#SS",
        TrapVector.GeneralProtection => "#GP",
        TrapVector.PageFault => "#PF",
        _ => "#" + (int)vector,
    };
}
