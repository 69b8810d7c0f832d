using System.Buffers.Binary;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A static freestanding program, with its traced functions where it was compiled with -mrecord-mcount.</summary>
public sealed class ProgramImage
{
    private const string McountSection = "__mcount_loc";

    /// <summary>__START_KERNEL_map of arch/x86/include/asm/page_64_types.h.</summary>
    private const ulong KernelStart = 0xffff_ffff_8000_0000;

    private readonly ElfFile _elf;

    private ProgramImage(ElfFile elf)
    {
        _elf = elf;
        Symbols = new(elf.ReadSymbols(), elf.Segments);
        FtraceSites = ReadFtraceSites(elf);
    }

    public string Source => _elf.Source;

    public GuestAddress Entry => _elf.Entry;

    public IReadOnlyList<ElfSegment> Segments => _elf.Segments;

    public SymbolTable Symbols { get; }

    /// <summary>The sites of __mcount_loc in ascending order; none in a program that was compiled without them.</summary>
    public IReadOnlyList<FtraceSite> FtraceSites { get; }

    /// <exception cref="BadInputException">The file is not there or is not such a program.</exception>
    public static ProgramImage Open(string path) => FromElf(ElfFile.Open(path));

    /// <exception cref="BadInputException">The bytes are not such a program.</exception>
    public static ProgramImage Parse(ReadOnlyMemory<byte> bytes, string source) => FromElf(ElfFile.Parse(bytes, source));

    /// <summary>Maps the segments with their permissions and lays their bytes down.</summary>
    public void LoadInto(GuestMemory memory) => SegmentLoading.Load(memory, _elf.Segments);

    private static ProgramImage FromElf(ElfFile elf)
    {
        if (elf.Segments.Any(segment => (segment.Permissions & PagePermissions.Execute) != 0 && segment.Contains(elf.Entry))) return new(elf);
        // A vmlinux is linked at the kernel's addresses and entered at a physical one.
        throw elf.Segments.Any(segment => segment.Address.Value >= KernelStart)
            ? new BadInputException($"{elf.Source}: linked where a kernel is, and its entry {elf.Entry} is not in its code, so it is no program; 'livepatch kernel info' tells of kernels, here {ForeignFile.ProgramWanted}")
            : new BadInputException($"{elf.Source}: its entry {elf.Entry} is in no executable segment; link it with an entry point (-e or a _start)");
    }

    /// <summary>The linker leaves the table in the order of its inputs; ftrace_process_locs of kernel/trace/ftrace.c sorts it, and so do we.</summary>
    private static List<FtraceSite> ReadFtraceSites(ElfFile elf)
    {
        if (elf.Section(McountSection) is not { } section) return [];
        var content = section.Content.Span;
        if (content.Length % 8 != 0)
            throw new BadInputException($"{elf.Source}: {McountSection} has {content.Length} bytes, not a multiple of 8; link it again");

        var addresses = new List<GuestAddress>(content.Length / 8);
        for (var at = 0; at < content.Length; at += 8)
        {
            var address = new GuestAddress(BinaryPrimitives.ReadUInt64LittleEndian(content[at..]));
            // Zero is what a linker leaves of a function that it dropped.
            if (address.Value == 0) continue;
            if (!elf.Segments.Any(segment => (segment.Permissions & PagePermissions.Execute) != 0 && segment.Contains(address, FtraceSite.Length)))
                throw new BadInputException($"{elf.Source}: {McountSection} names {address}, which is not code of the program; link it again");
            addresses.Add(address);
        }

        addresses.Sort();
        for (var i = 1; i < addresses.Count; i++)
        {
            if (addresses[i] - addresses[i - 1] < FtraceSite.Length)
                throw new BadInputException($"{elf.Source}: {McountSection} has sites at {addresses[i - 1]} and {addresses[i]}, which overlap; link it again");
        }

        return addresses.ConvertAll(address => new FtraceSite(address));
    }
}
