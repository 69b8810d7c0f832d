namespace LivePatchLab.Machine;

/// <summary>The bits of RFLAGS that are not status flags (SDM vol. 3, 2.3).</summary>
internal static class SystemFlag
{
    public const uint Trap = 0x100, Interrupt = 0x200, Direction = 0x400, PrivilegeLevel = 0x3000, NestedTask = 0x4000;
    public const uint Resume = 0x1_0000, AlignmentCheck = 0x4_0000, VirtualInterrupt = 0x8_0000, VirtualInterruptPending = 0x10_0000, Identification = 0x20_0000;

    public const uint All = Trap | Interrupt | Direction | PrivilegeLevel | NestedTask | Resume
        | AlignmentCheck | VirtualInterrupt | VirtualInterruptPending | Identification;

    /// <summary>What POPF changes at CPL 0: not RF, VIF and VIP (SDM vol. 2, POPF).</summary>
    public const uint ByKernelPop = Trap | Interrupt | Direction | PrivilegeLevel | NestedTask | AlignmentCheck | Identification;

    /// <summary>At CPL 3 with IOPL 0.</summary>
    public const uint ByUserPop = Trap | Direction | NestedTask | AlignmentCheck | Identification;
}
