using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A section of an ELF file; <see cref="Content"/> is empty for one that takes no room in the file (.bss).</summary>
public sealed record ElfSection(string Name, uint Type, ulong Flags, GuestAddress Address, ulong Size, uint Link, ulong EntryBytes, ReadOnlyMemory<byte> Content)
{
    private const ulong ShfExecInstr = 4;

    public bool IsExecutable => (Flags & ShfExecInstr) != 0;

    public bool Contains(GuestAddress address, ulong length = 1)
        => address >= Address && length <= Size && address.Value - Address.Value <= Size - length;
}
