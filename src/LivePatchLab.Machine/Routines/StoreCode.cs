namespace LivePatchLab.Machine;

/// <summary>Writes bytes that CPUs may be executing, through an alias that has write permission.</summary>
/// <remarks>Does not serialise the writing CPU: whoever writes code through an alias must do that itself.</remarks>
public sealed class StoreCode(GuestAddress address, ReadOnlyMemory<byte> bytes, long costCycles) : KernelStep
{
    public GuestAddress Address { get; } = address;

    public ReadOnlyMemory<byte> Bytes { get; } = bytes;

    /// <summary>False, once executed, where the bytes are not mapped; nothing is written then.</summary>
    public bool Succeeded { get; private set; }

    public override string Describe() => $"{Convert.ToHexStringLower(Bytes.Span)} -> {Address}";

    protected internal override long Execute(Cpu cpu)
    {
        Succeeded = cpu.Machine.TryStoreCode(cpu, Address, Bytes.Span);
        return costCycles;
    }
}
