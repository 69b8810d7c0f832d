namespace LivePatchLab.Linux;

/// <summary>Names what a file is that was taken for a kernel or a program, by its first bytes (file(1) and its magic know them).</summary>
internal static class ForeignFile
{
    public const string KernelWanted = "give the vmlinuz of an x86-64 Linux, or its vmlinux";
    public const string ProgramWanted = "give a static x86-64 program";

    private const int MachineMagicAt = 0x38, RiscVMagicAt = 0x30;

    /// <summary>Programs that pack files, by what packed files begin with; the kernel's build uses the same.</summary>
    private static readonly (string Program, byte[] Magic)[] Packers =
    [
        ("gzip", [0x1f, 0x8b]),
        ("xz", [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0]),
        ("zstd", [0x28, 0xb5, 0x2f, 0xfd]),
        ("bzip2", "BZh"u8.ToArray()),
        ("lz4", [0x04, 0x22, 0x4d, 0x18]),
        ("lz4", [0x02, 0x21, 0x4c, 0x18]),
    ];

    /// <summary>What to give instead.</summary>
    public static string Wanted(ImageUse use) => use == ImageUse.Kernel ? KernelWanted : ProgramWanted;

    /// <summary>What the file is, and what to do; of one that is not known, that it is none that is read.</summary>
    public static BadInputException Refused(ImageBytes file, ImageUse use)
        => file.Bad(What(file, use) ?? (use == ImageUse.Kernel
            ? $"neither a bzImage nor an ELF file; {KernelWanted}"
            : $"not an ELF file (no 7f 45 4c 46 at its start); {ProgramWanted}"));

    private static string? What(ImageBytes file, ImageUse use)
    {
        var start = file.Memory.Span;
        if (start.IsEmpty) return $"an empty file; {Wanted(use)}";
        var not = use == ImageUse.Kernel ? "not a kernel" : "not a program";
        if (start.StartsWith("!<arch>\ndebian-binary"u8))
            return $"a package, {not}; unpack it (dpkg -x), and give the {(use == ImageUse.Kernel ? "vmlinuz" : "program")} that is in it";
        if (start.StartsWith("!<arch>\n"u8) || start.StartsWith("!<thin>\n"u8)) return $"a static library, {not}; {Wanted(use)}";
        if (start.StartsWith("#!"u8)) return $"a script, {not}; {Wanted(use)}";
        foreach (var (program, magic) in Packers)
        {
            if (start.StartsWith(magic)) return $"packed with {program}; unpack it, and give what comes out";
        }

        if (BzImage.IsOne(file)) return $"an image that is booted as a Linux kernel is (bzImage), {not}; 'livepatch kernel info' tells of kernels, here {ProgramWanted}";
        if (!start.StartsWith("MZ"u8)) return null;
        if (MachineOf(start) is { } machine) return $"a kernel for {machine}; {Wanted(use)}";
        return use == ImageUse.Kernel
            ? $"an EFI program, not a bzImage; of a unified kernel image give its kernel (objcopy -O binary --only-section=.linux), else {KernelWanted}"
            : $"an EFI or Windows program (PE), not an ELF file; {ProgramWanted}";
    }

    /// <summary>The Image of other machines looks like an EFI program too (Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst).</summary>
    private static string? MachineOf(ReadOnlySpan<byte> start)
        => HasAt(start, MachineMagicAt, "ARM\x64"u8) ? "AArch64"
            : HasAt(start, RiscVMagicAt, "RISCV"u8) || HasAt(start, MachineMagicAt, "RSC\x05"u8) ? "RISC-V"
            : null;

    private static bool HasAt(ReadOnlySpan<byte> start, int at, ReadOnlySpan<byte> magic) => start.Length >= at + magic.Length && start[at..].StartsWith(magic);
}
