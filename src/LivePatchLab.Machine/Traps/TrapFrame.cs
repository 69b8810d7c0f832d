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
    /// <summary>The name of the code at <see cref="Rip"/>, with the offset; null where it has none.</summary>
    public string? Symbol { get; init; }

    /// <summary>The bytes of the instruction at <see cref="Rip"/> as memory holds them; none where nothing is mapped.</summary>
    public IReadOnlyList<byte> Code { get; init; } = [];

    /// <summary>That instruction in AT&amp;T notation; null where nothing is mapped.</summary>
    public string? Instruction { get; init; }

    /// <summary>One line: CPU, vector, address, symbol, instruction, and what the error code says.</summary>
    public override string ToString()
    {
        var place = Symbol is null ? $"{Rip}" : $"{Rip}, {Symbol}";
        var code = Instruction is null ? "nothing is mapped there" : $"{InstructionText.Hex([.. Code])}  {Instruction}";
        var cause = Vector == TrapVector.PageFault ? $"; {PageFaultCause(ErrorCode, FaultAddress)} (error code 0x{ErrorCode:x})" : ErrorCode != 0 ? $"; error code 0x{ErrorCode:x}" : "";
        return $"{Cpu}: {Vector.Mnemonic()} at {place}: {code}{cause}";
    }

    /// <summary>This fault with what the machine knows of the instruction.</summary>
    internal GuestFault ExplainedBy(SmpMachine machine)
    {
        var named = this with { Symbol = machine.CodeMap?.NameOf(Rip) };
        return new InstructionText(machine.CodeMap).At(machine.Memory, Rip) is { } instruction ? named with { Code = instruction.Bytes, Instruction = instruction.Text } : named;
    }

    /// <summary>The error code of #PF in words: P, W/R, U/S, I/D (SDM volume 3, figure 4-12).</summary>
    private static string PageFaultCause(uint errorCode, GuestAddress address)
    {
        var access = (errorCode & 0x10) != 0 ? "instruction fetch from" : (errorCode & 2) != 0 ? "write to" : "read from";
        var obstacle = (errorCode & 1) != 0 ? "which the page does not permit" : "which is not mapped";
        return $"{((errorCode & 4) != 0 ? "user" : "kernel")} {access} {address}, {obstacle}";
    }
}
