namespace LivePatchLab.Machine;

/// <summary>Why the interpreter came back.</summary>
public enum ExecutionExit
{
    /// <summary>The instructions it was given are all retired.</summary>
    Budget,

    /// <summary>A fault or trap: <see cref="CpuState"/> holds vector, error code and address. RIP is the instruction's for faults, the next one for traps (#BP, #DB, INT n).</summary>
    Trap,

    /// <summary>HLT retired; RIP is behind it.</summary>
    Halt,

    /// <summary>SYSCALL retired; RIP is behind it, RCX and R11 are set as the SDM says.</summary>
    Syscall,

    /// <summary>An instruction of the serialising table retired (CPUID, SERIALIZE, MOV to CR, …); RIP is behind it. IRET has an exit of its own.</summary>
    Serialised,

    /// <summary>IRETQ retired: RIP, RFLAGS and RSP are the frame's.</summary>
    InterruptReturn,

    /// <summary>SYSRETQ retired: the CPU is at CPL 3, and RIP and RFLAGS are what RCX and R11 held.</summary>
    SystemReturn,

    /// <summary>RFLAGS.IF went from 0 to 1 (POPF, or one instruction behind STI): a pending interrupt may be taken now.</summary>
    InterruptsEnabled,

    /// <summary>A store changed bytes of an executable page; RIP is behind the storing instruction.</summary>
    CodeStored,

    /// <summary>A REP string instruction did a slice of its iterations and has more to do: RIP is still on it, and it is not retired.</summary>
    Repeating,
}
