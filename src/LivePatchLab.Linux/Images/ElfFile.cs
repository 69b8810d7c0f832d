using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A static ELF64 file for x86-64: what a loader needs of it (System V ABI, AMD64 supplement, chapters 4 and 5).</summary>
public sealed class ElfFile
{
    private const int ProgramHeaderBytes = 56, SectionHeaderBytes = 64, SymbolBytes = 24;
    private const uint PtLoad = 1, PtDynamic = 2, PtInterp = 3;
    private const uint ShtSymtab = 2, ShtNobits = 8;

    private readonly Dictionary<string, ElfSection> _sectionsByName = new(StringComparer.Ordinal);

    private ElfFile(string source, GuestAddress entry, List<ElfSegment> segments, List<ElfSection> sections)
    {
        Source = source;
        Entry = entry;
        Segments = segments;
        Sections = sections;
        foreach (var section in sections) _sectionsByName.TryAdd(section.Name, section);
    }

    /// <summary>The name that messages about this file begin with.</summary>
    public string Source { get; }

    /// <summary>e_entry: a virtual address in a program, a physical one in a vmlinux.</summary>
    public GuestAddress Entry { get; }

    /// <summary>The PT_LOADs that take up memory, in the order of the file.</summary>
    public IReadOnlyList<ElfSegment> Segments { get; }

    /// <summary>The sections; empty where they were stripped.</summary>
    public IReadOnlyList<ElfSection> Sections { get; }

    public ElfSection? Section(string name) => _sectionsByName.GetValueOrDefault(name);

    /// <exception cref="BadInputException">The file is not there or is not such an ELF file.</exception>
    public static ElfFile Open(string path) => Parse(ImageBytes.Of(path), ImageUse.Program);

    /// <param name="bytes">The file; the result keeps it.</param>
    /// <param name="source">What messages call it.</param>
    /// <exception cref="BadInputException">It is not such an ELF file.</exception>
    public static ElfFile Parse(ReadOnlyMemory<byte> bytes, string source) => Parse(new ImageBytes(bytes, source), ImageUse.Program);

    /// <summary>The file's bytes that are loaded at [address, address+length).</summary>
    /// <exception cref="BadInputException">No segment has them.</exception>
    public ReadOnlySpan<byte> BytesAt(GuestAddress address, int length, string what)
        => TryBytesAt(address, length, out var bytes)
            ? bytes
            : throw new BadInputException($"{Source}: {what} at {address}, +0x{length:x}, is in no segment of the file; fetch or build it again");

    public bool TryBytesAt(GuestAddress address, int length, out ReadOnlySpan<byte> bytes)
    {
        foreach (var segment in Segments)
        {
            if (address < segment.Address || length < 0) continue;
            var offset = address - segment.Address;
            if (offset < 0 || offset > segment.Content.Length || length > segment.Content.Length - offset) continue;
            bytes = segment.Content.Span.Slice((int)offset, length);
            return true;
        }

        bytes = default;
        return false;
    }

    /// <summary>The named symbols of .symtab that are defined here, in nm's letters; empty where it was stripped.</summary>
    public KernelSymbol[] ReadSymbols()
    {
        var table = Sections.FirstOrDefault(section => section.Type == ShtSymtab);
        if (table is null) return [];
        if (table.EntryBytes != SymbolBytes || table.Link >= (ulong)Sections.Count)
            throw new BadInputException($"{Source}: .symtab has entries of {table.EntryBytes} bytes and string table {table.Link}; an ELF64 one has {SymbolBytes}; link it again");

        var entries = new ImageBytes(table.Content, Source);
        var names = Sections[(int)table.Link].Content.Span;
        var symbols = new List<KernelSymbol>();
        for (ulong at = 0; at + SymbolBytes <= (ulong)entries.Length; at += SymbolBytes)
        {
            var nameOffset = entries.UInt32(at, "a symbol");
            var info = entries.Byte(at + 4, "a symbol");
            var sectionIndex = entries.UInt16(at + 6, "a symbol");
            var isSectionOrFile = (info & 15) is 3 or 4;
            if (nameOffset == 0 || sectionIndex == 0 || isSectionOrFile || nameOffset >= names.Length) continue;

            // In a damaged file a name may begin where another ends.
            if (StringAt(names, nameOffset) is not { Length: > 0 } name) continue;
            symbols.Add(new(new(entries.UInt64(at + 8, "a symbol")), LetterOf(sectionIndex, info >> 4), name));
        }

        return [.. symbols];
    }

    internal static ElfFile Parse(ImageBytes file, ImageUse use)
    {
        ElfKind.RequireX86(file, use);
        var sections = ReadSections(file, use);
        ElfKind.RequireExecutable(file, use, sections);
        var segments = ReadSegments(file, use);
        RequireDisjoint(file.Source, segments);
        return new(file.Source, new(file.UInt64(24, "e_entry")), segments, sections);
    }

    private static List<ElfSegment> ReadSegments(ImageBytes file, ImageUse use)
    {
        BadInputException Bad(string what, string withProgram) => file.Bad($"{what}; {ElfKind.Else(use, withProgram)}");
        ulong table = file.UInt64(32, "e_phoff");
        var entryBytes = file.UInt16(54, "e_phentsize");
        var count = file.UInt16(56, "e_phnum");
        if (count == 0) throw Bad("has no program headers, so there is nothing to load", "link it as an executable");
        if (entryBytes != ProgramHeaderBytes) throw Bad($"program headers of {entryBytes} bytes; an ELF64 file has {ProgramHeaderBytes}", "build it again");
        file.Slice(table, (ulong)count * ProgramHeaderBytes, "the program headers");

        var segments = new List<ElfSegment>();
        for (var i = 0; i < count; i++)
        {
            var at = table + ((ulong)i * ProgramHeaderBytes);
            var type = file.UInt32(at, "a program header");
            if (type is PtInterp or PtDynamic) throw Bad("dynamically linked (it has PT_INTERP or PT_DYNAMIC)", "link it with -static -no-pie");
            var memoryBytes = file.UInt64(at + 40, "a program header");
            if (type != PtLoad || memoryBytes == 0) continue;

            var address = new GuestAddress(file.UInt64(at + 16, "a program header"));
            var fileBytes = file.UInt64(at + 32, "a program header");
            var where = $"segment {i} at {address}, +0x{memoryBytes:x}";
            var last = address + (long)(memoryBytes - 1);
            if (memoryBytes > 1UL << 32 || !address.IsInWindow || !last.IsInWindow || last < address || (int)last.Value < (int)address.Value)
                throw Bad($"{where}, is outside the machine's window [ffffffff80000000, 7fffffff]", "link it within 2 GiB of address 0");
            if (fileBytes > memoryBytes) throw Bad($"{where}, has 0x{fileBytes:x} bytes in the file, more than in memory", "build it again");

            var content = file.Slice(file.UInt64(at + 8, "a program header"), fileBytes, $"segment {i}");
            segments.Add(new(address, file.UInt64(at + 24, "a program header"), (long)memoryBytes, PermissionsOf(file.UInt32(at + 4, "a program header")), content));
        }

        return segments.Count > 0 ? segments : throw Bad("has no PT_LOAD, so there is nothing to load", "link it as an executable");
    }

    internal static void RequireDisjoint(string source, IEnumerable<ElfSegment> segments)
    {
        ElfSegment? below = null;
        foreach (var segment in segments.OrderBy(segment => (int)segment.Address.Value))
        {
            if (below is not null && segment.Address - below.Address < below.Length)
                throw new BadInputException($"{source}: segments overlap: [{below.Address}, +0x{below.Length:x}) and [{segment.Address}, +0x{segment.Length:x}); link it again");
            below = segment;
        }
    }

    private static List<ElfSection> ReadSections(ImageBytes file, ImageUse use)
    {
        ulong table = file.UInt64(40, "e_shoff");
        var entryBytes = file.UInt16(58, "e_shentsize");
        var count = file.UInt16(60, "e_shnum");
        var namesIndex = file.UInt16(62, "e_shstrndx");
        if (table == 0 || count == 0) return [];
        if (entryBytes != SectionHeaderBytes) throw file.Bad($"section headers of {entryBytes} bytes; an ELF64 file has {SectionHeaderBytes}; {ElfKind.Else(use, "build it again")}");
        file.Slice(table, (ulong)count * SectionHeaderBytes, "the section headers");

        ReadOnlyMemory<byte> ContentOf(ulong header) => file.UInt32(header + 4, "a section header") is ShtNobits or 0
            ? ReadOnlyMemory<byte>.Empty
            : file.Slice(file.UInt64(header + 24, "a section header"), file.UInt64(header + 32, "a section header"), "a section");

        var names = namesIndex < count ? ContentOf(table + ((ulong)namesIndex * SectionHeaderBytes)) : default;
        var sections = new List<ElfSection>(count);
        for (var i = 0; i < count; i++)
        {
            var at = table + ((ulong)i * SectionHeaderBytes);
            sections.Add(new(
                StringAt(names.Span, file.UInt32(at, "a section header")),
                file.UInt32(at + 4, "a section header"),
                file.UInt64(at + 8, "a section header"),
                new(file.UInt64(at + 16, "a section header")),
                file.UInt64(at + 32, "a section header"),
                file.UInt32(at + 40, "a section header"),
                file.UInt64(at + 56, "a section header"),
                ContentOf(at)));
        }

        return sections;
    }

    private static string StringAt(ReadOnlySpan<byte> table, uint offset)
    {
        if (offset >= table.Length) return "";
        var rest = table[(int)offset..];
        var end = rest.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? rest : rest[..end]);
    }

    private static PagePermissions PermissionsOf(uint flags)
        => ((flags & 4) != 0 ? PagePermissions.Read : 0) | ((flags & 2) != 0 ? PagePermissions.Write : 0) | ((flags & 1) != 0 ? PagePermissions.Execute : 0);

    /// <summary>nm's letter: a or t, b, d, r by the section's kind; upper case for a global symbol, w for a weak one.</summary>
    private char LetterOf(ushort sectionIndex, int binding)
    {
        if (binding == 2) return 'w';
        var letter = 'a';
        if (sectionIndex < Sections.Count)
        {
            var section = Sections[sectionIndex];
            letter = section.IsExecutable ? 't' : section.Type == ShtNobits ? 'b' : (section.Flags & 1) != 0 ? 'd' : 'r';
        }

        return binding == 1 ? char.ToUpperInvariant(letter) : letter;
    }
}
