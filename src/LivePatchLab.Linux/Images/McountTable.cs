using System.Buffers.Binary;
using System.Runtime.InteropServices;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The kernel's table of traced sites: the addresses between __start_mcount_loc and __stop_mcount_loc.</summary>
internal static class McountTable
{
    /// <summary>The table by its symbols; null where the image has not both.</summary>
    public static GuestAddress[]? BySymbols(ElfFile elf, SymbolTable symbols)
    {
        if (symbols["__start_mcount_loc"] is not { } start || symbols["__stop_mcount_loc"] is not { } stop) return null;
        var length = stop - start;
        if (length < 0 || length % 8 != 0 || length > int.MaxValue)
            throw new BadInputException($"{elf.Source}: __start_mcount_loc {start} and __stop_mcount_loc {stop} enclose no table of addresses; fetch the image again");
        var words = MemoryMarshal.Cast<byte, ulong>(elf.BytesAt(start, (int)length, "__start_mcount_loc"));
        var sites = new List<GuestAddress>(words.Length);
        foreach (var word in words)
        {
            // Zero is what sorttable leaves of a weak function that a strong one replaced (as of 6.15, and 6.12's later releases).
            if (word != 0) sites.Add(new(word));
        }

        return [.. sites];
    }

    /// <summary>
    /// The table by its shape alone: the longest run of words in .init.data of which each is the address of a call of one and the same
    /// function. The build has sorted it as of 5.18 only (BUILDTIME_MCOUNT_SORT).
    /// </summary>
    public static GuestAddress[] ByShape(ElfFile elf)
    {
        if (elf.Section(".init.data") is not { } section) return [];
        var words = MemoryMarshal.Cast<byte, ulong>(section.Content.Span);
        var code = CodeExtents(elf);
        int best = 0, bestLength = 0, start = 0;
        GuestAddress? called = null;
        for (var i = 0; i <= words.Length; i++)
        {
            var target = i < words.Length && IsCode(code, words[i]) ? CallTarget(elf, new(words[i])) : null;
            if (target is not null && target == called) continue;
            if (called is not null && i - start > bestLength) (best, bestLength) = (start, i - start);
            (start, called) = (i, target);
        }

        var sites = new GuestAddress[bestLength];
        for (var i = 0; i < bestLength; i++) sites[i] = new(words[best + i]);
        return sites;
    }

    /// <summary>What the compiler's CALL rel32 calls: __fentry__; null where it is another instruction.</summary>
    private static GuestAddress? CallTarget(ElfFile elf, GuestAddress site)
        => elf.TryBytesAt(site, FtraceSite.Length, out var bytes) && bytes[0] == 0xe8 ? site + FtraceSite.Length + BinaryPrimitives.ReadInt32LittleEndian(bytes[1..]) : null;

    private static (ulong Start, ulong End)[] CodeExtents(ElfFile elf)
        => [.. elf.Sections.Where(section => section.IsExecutable && section.Size > 0).Select(section => (section.Address.Value, section.Address.Value + section.Size))];

    private static bool IsCode((ulong Start, ulong End)[] code, ulong address)
    {
        foreach (var (start, end) in code)
        {
            if (address >= start && address < end) return true;
        }

        return false;
    }
}
