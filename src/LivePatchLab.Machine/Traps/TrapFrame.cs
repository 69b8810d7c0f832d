namespace LivePatchLab.Machine;

/// <summary>What an exception saves of the interrupted code, and its handler may change: the kernel's pt_regs, as far as it goes.</summary>
public sealed class TrapFrame
{
    public required TrapVector Vector { get; init; }

    public uint ErrorCode { get; init; }

    /// <summary>The address whose access faulted, for #PF.</summary>
    public GuestAddress FaultAddress { get; init; }

    /// <summary>Where IRET goes: the faulting instruction, or the one behind INT3.</summary>
    public GuestAddress Rip { get; set; }

    public ulong Rflags { get; set; }

    public GuestAddress Rsp { get; set; }

    /// <summary>Set by a handler that has dealt with the exception; the CPU dies of one that nobody consumes.</summary>
    public bool Consumed { get; set; }
}

/// <summary>An exception that no handler consumed: a value, on which the machine stops.</summary>
/// <param name="Cpu">The CPU that raised it.</param>
/// <param name="Vector">Which exception.</param>
/// <param name="ErrorCode">Its error code, 0 where it has none.</param>
/// <param name="Rip">The faulting instruction; the INT3 itself for #BP.</param>
/// <param name="FaultAddress">The address whose access faulted, for #PF.</param>
/// <param name="ClockCycles">When, by the CPU's clock.</param>
public sealed record GuestFault(CpuId Cpu, TrapVector Vector, uint ErrorCode, GuestAddress Rip, GuestAddress FaultAddress, long ClockCycles)
{
    public override string ToString() => Vector == TrapVector.PageFault
        ? $"{Cpu}: {Vector.Mnemonic()} at {Rip}, address {FaultAddress}, error code {ErrorCode}"
        : $"{Cpu}: {Vector.Mnemonic()} at {Rip}";
}
