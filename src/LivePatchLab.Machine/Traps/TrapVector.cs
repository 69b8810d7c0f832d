namespace LivePatchLab.Machine;

/// <summary>The exception vectors that the machine raises (Intel SDM volume 3, "Exception and Interrupt Reference").</summary>
public enum TrapVector
{
    /// <summary>#DE</summary>
    DivideError = 0,

    /// <summary>#BP, from INT3; RIP is behind it.</summary>
    Breakpoint = 3,

    /// <summary>#UD</summary>
    InvalidOpcode = 6,

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
        TrapVector.Breakpoint => "#BP",
        TrapVector.InvalidOpcode => "#UD",
        TrapVector.GeneralProtection => "#GP",
        TrapVector.PageFault => "#PF",
        _ => "#" + (int)vector,
    };
}
