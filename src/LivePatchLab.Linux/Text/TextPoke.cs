using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Writes text through a mapping of its own: maps an alias with write permission, writes, unmaps, serialises this CPU.</summary>
/// <remarks>
/// In mainline text_poke() returns no error and BUGs when the text reads back wrong; the series of the seed had made it return
/// one, and so does this. <see cref="Error"/> holds it once the step is done.
/// </remarks>
[KernelName("text_poke", File = "arch/x86/kernel/alternative.c", Version = "v3.12")]
public sealed class TextPoke(LinuxKernel kernel, GuestAddress address, ReadOnlyMemory<byte> opcode) : KernelStep
{
    public GuestAddress Address { get; private set; } = address;

    public ReadOnlyMemory<byte> Opcode { get; private set; } = opcode;

    /// <summary>0, or the negative error number.</summary>
    public int Error { get; private set; }

    /// <summary>The same step for another place, for those who poke many: only once it is done, and its error has been looked at.</summary>
    public TextPoke At(GuestAddress next, ReadOnlyMemory<byte> nextOpcode)
    {
        (Address, Opcode) = (next, nextOpcode);
        return this;
    }

    public override string Describe() => $"text_poke {Address}: {Convert.ToHexStringLower(Opcode.Span)}";

    protected override long Execute(Cpu cpu)
    {
        Error = kernel.Faults.Try(FaultPoint.Write);
        if (Error == 0 && !kernel.StoreText(cpu, Address, Opcode.Span)) Error = Errno.Efault;
        cpu.Serialise(SerialisingEvents.Instruction);
        return cpu.Machine.Costs.TextPoke;
    }
}
