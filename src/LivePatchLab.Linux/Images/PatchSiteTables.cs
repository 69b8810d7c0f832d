using System.Buffers.Binary;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Reads the kernel's tables of jump labels and static calls, whose words are relative to their own places.</summary>
internal static class PatchSiteTables
{
    private const int JumpEntryBytes = 16, StaticCallSiteBytes = 8;

    /// <summary>Two low bits of a key word are flags (JUMP_TYPE_MASK, STATIC_CALL_SITE_FLAGS).</summary>
    private const ulong KeyFlags = 3;

    public static JumpLabelSite[] JumpLabels(ElfFile elf, SymbolTable symbols)
    {
        var table = Extent(elf, symbols, "__start___jump_table", "__stop___jump_table", JumpEntryBytes, out var start);
        var sites = new JumpLabelSite[table.Length / JumpEntryBytes];
        for (var i = 0; i < sites.Length; i++)
        {
            var entry = table.Slice(i * JumpEntryBytes, JumpEntryBytes);
            var place = start + (i * JumpEntryBytes);
            var address = place + BinaryPrimitives.ReadInt32LittleEndian(entry);
            var target = place + 4 + BinaryPrimitives.ReadInt32LittleEndian(entry[4..]);
            var key = place + 8 + BinaryPrimitives.ReadInt64LittleEndian(entry[8..]);
            var (length, isJump) = ReadInstruction(elf, address);
            sites[i] = new(address, length, isJump, target, new(key.Value & ~KeyFlags), (key.Value & 1) != 0);
        }

        return sites;
    }

    public static StaticCallSite[] StaticCalls(ElfFile elf, SymbolTable symbols)
    {
        var table = Extent(elf, symbols, "__start_static_call_sites", "__stop_static_call_sites", StaticCallSiteBytes, out var start);
        var sites = new StaticCallSite[table.Length / StaticCallSiteBytes];
        var names = new Dictionary<GuestAddress, string>();
        for (var i = 0; i < sites.Length; i++)
        {
            var entry = table.Slice(i * StaticCallSiteBytes, StaticCallSiteBytes);
            var place = start + (i * StaticCallSiteBytes);
            var address = place + BinaryPrimitives.ReadInt32LittleEndian(entry);
            var key = place + 4 + BinaryPrimitives.ReadInt32LittleEndian(entry[4..]);
            elf.BytesAt(address, StaticCallSite.Length, "a static call");
            var keyAddress = new GuestAddress(key.Value & ~KeyFlags);
            if (!names.TryGetValue(keyAddress, out var name)) names[keyAddress] = name = symbols.NameOf(keyAddress);
            sites[i] = new(address, (key.Value & 1) != 0, keyAddress, name);
        }

        return sites;
    }

    /// <summary>jump_entry_size of arch/x86/kernel/jump_label.c: the opcode says which of the four forms it is.</summary>
    private static (int Length, bool IsJump) ReadInstruction(ElfFile elf, GuestAddress address)
    {
        var bytes = elf.BytesAt(address, 2, "a jump label");
        return bytes switch
        {
            [0xeb, _] => (2, true),
            [0x66, 0x90] => (2, false),
            [0xe9, _] => (5, true),
            [0x0f, 0x1f] => (5, false),
            _ => throw new BadInputException($"{elf.Source}: the jump label at {address} begins with {Convert.ToHexStringLower(bytes)}, neither a NOP nor a JMP; fetch the image again, or give a kernel of 5.10 or later"),
        };
    }

    /// <summary>The table between two symbols; empty where the kernel was built without it.</summary>
    private static ReadOnlySpan<byte> Extent(ElfFile elf, SymbolTable symbols, string first, string behind, int entryBytes, out GuestAddress start)
    {
        start = default;
        if (symbols[first] is not { } from || symbols[behind] is not { } to) return [];
        start = from;
        var length = to - from;
        if (length < 0 || length % entryBytes != 0 || length > int.MaxValue)
            throw new BadInputException($"{elf.Source}: {first} {from} and {behind} {to} enclose no entries of {entryBytes} bytes; fetch the image again");
        return elf.BytesAt(from, (int)length, first);
    }
}
