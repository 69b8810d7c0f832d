using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A real Linux kernel: a bzImage or a vmlinux, with its symbols and the tables of everything in it that is patched while it runs.</summary>
public sealed class KernelImage
{
    private const string BannerStart = "Linux version ";

    private readonly ElfSection _text;
    private readonly List<ElfSegment> _placed;

    private KernelImage(ElfFile elf, string codec, string? banner)
    {
        Elf = elf;
        Codec = codec;
        _text = elf.Section(".text") ?? throw Bad(WithoutText(elf));
        Symbols = new(ReadSymbols(elf), elf.Segments);
        _placed = [.. elf.Segments.Select(Placed)];
        ElfFile.RequireDisjoint(elf.Source, _placed);
        PerCpu = PerCpuArea.Of(elf, Symbols);
        Banner = banner ?? ReadBanner(elf, Symbols);
        Release = Banner.Split(' ', 2)[0];
        FtraceSites = ReadFtraceSites();
        TextFtraceSites = [.. FtraceSites.Where(site => IsInText(site.Address))];
        JumpLabels = PatchSiteTables.JumpLabels(elf, Symbols);
        StaticCalls = PatchSiteTables.StaticCalls(elf, Symbols);
    }

    public ElfFile Elf { get; }

    public string Source => Elf.Source;

    /// <summary>How the image was packed: lz4, gzip, xz, zstd, bzip2, lzma, lzo, or none.</summary>
    public string Codec { get; }

    /// <summary>The kernel's version line from its release on.</summary>
    public string Banner { get; }

    /// <summary>As uname -r prints it.</summary>
    public string Release { get; }

    public SymbolTable Symbols { get; }

    /// <summary>All traced sites, ascending: those of .text and those of .init.text.</summary>
    public IReadOnlyList<FtraceSite> FtraceSites { get; }

    /// <summary>The traced sites of .text, which stay when the kernel has freed its init sections.</summary>
    public IReadOnlyList<FtraceSite> TextFtraceSites { get; }

    /// <summary>In the table's order.</summary>
    public IReadOnlyList<JumpLabelSite> JumpLabels { get; }

    /// <summary>In the table's order.</summary>
    public IReadOnlyList<StaticCallSite> StaticCalls { get; }

    public GuestAddress TextBase => _text.Address;

    /// <summary>Its per-CPU variables; null in a kernel for one CPU, which has them among the others.</summary>
    public PerCpuArea? PerCpu { get; }

    public bool IsInText(GuestAddress address) => _text.Contains(address);

    /// <summary>The sites of .text that "function" tracing switches: what a running kernel lists in enabled_functions.</summary>
    public IEnumerable<FtraceSite> SitesForPatching => TextFtraceSites.Where(site => site.IsEnabled);

    /// <exception cref="BadInputException">The file is not there or is not such an image.</exception>
    /// <exception cref="UnsupportedInputException">It is packed with a codec that this computer does not have.</exception>
    public static KernelImage Open(string path) => Parse(ImageBytes.Of(path));

    /// <inheritdoc cref="Open"/>
    public static KernelImage Parse(ReadOnlyMemory<byte> bytes, string source) => Parse(new ImageBytes(bytes, source));

    /// <summary>
    /// Maps the segments at their virtual addresses and lays their bytes down. A per-CPU segment, linked at 0 to be copied for each CPU
    /// (up to 6.14), goes where the kernel's own linker script loads it: __per_cpu_load.
    /// </summary>
    public void LoadInto(GuestMemory memory)
    {
        SegmentLoading.Load(memory, _placed);

        // A segment's permissions are not those of the booting kernel, whose first page tables let all of the image be executed: in 7.2 the
        // one that holds .init.text may be read and written only.
        foreach (var section in Elf.Sections.Where(section => section.IsExecutable && section.Size is > 0 and <= int.MaxValue))
        {
            if (_placed.Find(segment => segment.Contains(section.Address, (int)section.Size)) is { } segment && (segment.Permissions & PagePermissions.Execute) == 0)
                memory.Map(section.Address, (long)section.Size, segment.Permissions | PagePermissions.Execute);
        }
    }

    public KernelInfo Info() => new(
        Release,
        Codec,
        Symbols.Count,
        FtraceSites.Count,
        JumpLabels.Count,
        StaticCalls.Count,
        [.. StraddlerCounts.LineSizes.Select(bytes => StraddlerCounts.Of(bytes, TextFtraceSites, JumpLabels, StaticCalls))]);

    private static KernelImage Parse(ImageBytes file)
    {
        if (!BzImage.IsOne(file)) return new(ElfFile.Parse(file, ImageUse.Kernel), "none", null);
        var (codec, vmlinux) = KernelPayload.Unpack(BzImage.Payload(file));
        return new(ElfFile.Parse(new ImageBytes(vmlinux, file.Source), ImageUse.Kernel), codec, BzImage.Banner(file));
    }

    private static string WithoutText(ElfFile elf)
        => !elf.Segments.Any(segment => segment.Content.Span.IndexOf("Linux version "u8) >= 0) ? $"is no Linux kernel, as it nowhere says \"Linux version\"; {ForeignFile.KernelWanted}"
            : elf.Sections.Count == 0 ? "is a Linux kernel whose section headers were stripped, and its tables are found by them; give its vmlinuz, or a vmlinux that has them"
            : "is a Linux kernel without a section .text; give its vmlinuz, or its vmlinux as it was linked";

    private static KernelSymbol[] ReadSymbols(ElfFile elf)
    {
        var found = elf.Section(".rodata") is { } rodata
            ? Kallsyms.Find(rodata.Content.Span, rodata.Address)
            : elf.Segments.Select(segment => Kallsyms.Find(segment.Content.Span, segment.Address)).FirstOrDefault(symbols => symbols is not null);
        found ??= elf.ReadSymbols();
        return found.Length > 0 ? found : throw new BadInputException($"{elf.Source}: has no symbols, neither kallsyms nor .symtab; give a kernel built with CONFIG_KALLSYMS=y");
    }

    private static string ReadBanner(ElfFile elf, SymbolTable symbols)
    {
        if (symbols["linux_banner"] is { } address)
        {
            for (var length = 256; length > BannerStart.Length; length /= 2)
            {
                if (!elf.TryBytesAt(address, length, out var bytes)) continue;
                var text = Encoding.Latin1.GetString(bytes);
                if (text.StartsWith(BannerStart, StringComparison.Ordinal)) return text[BannerStart.Length..].Split('\0', '\n')[0];
            }
        }

        throw new BadInputException($"{elf.Source}: has no linux_banner, so it is no Linux kernel; {ForeignFile.KernelWanted}");
    }

    private FtraceSite[] ReadFtraceSites()
    {
        var addresses = McountTable.BySymbols(Elf, Symbols) ?? McountTable.ByShape(Elf);
        // Sorted by the build as of 5.18 (BUILDTIME_MCOUNT_SORT), at boot before that.
        Array.Sort(addresses);
        for (var i = 0; i < addresses.Length; i++)
        {
            if (!Elf.TryBytesAt(addresses[i], FtraceSite.Length, out _))
                throw Bad($"its ftrace table names {addresses[i]}, which is in no segment; fetch the image again");
            if (i > 0 && addresses[i].Value - addresses[i - 1].Value < FtraceSite.Length)
                throw Bad($"its ftrace table has sites at {addresses[i - 1]} and {addresses[i]}, which overlap; fetch the image again");
        }

        return Array.ConvertAll(addresses, address => new FtraceSite(address, IsFunctionStart(address)));
    }

    /// <summary>A function's site is its first instruction, or its second where endbr64 is the first (ENDBR_INSN_SIZE).</summary>
    private bool IsFunctionStart(GuestAddress site)
        => Symbols.HasSymbolAt(site)
            || (Elf.TryBytesAt(site - 4, 4, out var before) && before.SequenceEqual<byte>([0xf3, 0x0f, 0x1e, 0xfa]) && Symbols.HasSymbolAt(site - 4));

    private ElfSegment Placed(ElfSegment segment)
    {
        if (segment.Address.Value != 0) return segment;
        var load = Symbols["__per_cpu_load"] ?? throw Bad("has a segment at address 0 but no __per_cpu_load to say where it goes; fetch the image again");
        if (!load.IsInWindow || !(load + (segment.Length - 1)).IsInWindow || load + (segment.Length - 1) < load)
            throw Bad($"loads its per-CPU segment at {load}, +0x{segment.Length:x}, outside the machine's window; fetch the image again");
        return segment with { Address = load };
    }

    private BadInputException Bad(string what) => new($"{Elf.Source}: {what}");
}
