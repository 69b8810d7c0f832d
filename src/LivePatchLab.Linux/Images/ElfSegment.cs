using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A PT_LOAD of an ELF file: <see cref="Content"/> goes to <see cref="Address"/>, zeros follow up to <see cref="Length"/>.</summary>
public sealed record ElfSegment(GuestAddress Address, ulong PhysicalAddress, long Length, PagePermissions Permissions, ReadOnlyMemory<byte> Content)
{
    public GuestAddress End => Address + Length;

    public bool Contains(GuestAddress address, int length = 1)
        => address >= Address && length <= Length && address.Value - Address.Value <= (ulong)(Length - length);
}
