using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>An integer or pointer argument of a C function, as its 64-bit register has it. Signed numbers are sign-extended.</summary>
public readonly record struct KernelArgument(ulong Value)
{
    /// <summary>Also of byte and char.</summary>
    public static implicit operator KernelArgument(ushort value) => new(value);

    public static implicit operator KernelArgument(int value) => new((ulong)value);

    public static implicit operator KernelArgument(uint value) => new(value);

    public static implicit operator KernelArgument(long value) => new((ulong)value);

    public static implicit operator KernelArgument(ulong value) => new(value);

    public static implicit operator KernelArgument(GuestAddress address) => new(address.Value);

    public static implicit operator KernelArgument(KernelBuffer buffer) => new(buffer.Address.Value);

    public override string ToString() => $"0x{Value:x}";
}
