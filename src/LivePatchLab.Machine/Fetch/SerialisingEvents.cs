namespace LivePatchLab.Machine;

/// <summary>
/// The events after which a CPU can no longer see code older than now, where a fetch model says that they serialise.
/// Intel SDM volume 3, "Serializing Instructions", lists CPUID, IRET, SERIALIZE, MOV to CR and others; it promises nothing
/// for the delivery of interrupts, for SYSRET, or for the fences.
/// </summary>
[Flags]
public enum SerialisingEvents
{
    None = 0,

    /// <summary>IRET, on the way out of every interrupt and trap, or to itself in sync_core().</summary>
    InterruptReturn = 1,

    /// <summary>CPUID, SERIALIZE, MOV to CR, WRMSR and the rest of the SDM's list, executed by guest code or by sync_core().</summary>
    Instruction = 2,

    /// <summary>The delivery of an interrupt or exception.</summary>
    InterruptDelivery = 4,

    /// <summary>SYSRET, or the machine's own way back from a SYSCALL.</summary>
    SystemReturn = 8,

    /// <summary>An exit to a hypervisor and the entry that follows: <see cref="LivePatchLab.Machine.HypervisorExit"/>.</summary>
    HypervisorExit = 16,

    /// <summary>What the SDM promises.</summary>
    Architectural = InterruptReturn | Instruction,
}
