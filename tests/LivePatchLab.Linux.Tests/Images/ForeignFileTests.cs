using System.Buffers.Binary;
using System.Text;

namespace LivePatchLab.Linux.Tests;

/// <summary>What is neither a kernel nor a program is told what it is, in one true line for each of the two.</summary>
public sealed class ForeignFileTests
{
    private const int EtRel = 1, EtExec = 2, EtDyn = 3, EtCore = 4;

    [Theory]
    [InlineData("", "an empty file", "an empty file")]
    [InlineData("hello", "neither a bzImage nor an ELF file", "not an ELF file (no 7f 45 4c 46 at its start)")]
    [InlineData("!<arch>\ndebian-binary   ", "a package, not a kernel; unpack it (dpkg -x)", "a package, not a program; unpack it (dpkg -x)")]
    [InlineData("!<arch>\ncrc32.o/        ", "a static library, not a kernel", "a static library, not a program")]
    [InlineData("#!/bin/sh\n", "a script, not a kernel", "a script, not a program")]
    [InlineData("\u001f\u008b\u0008", "packed with gzip; unpack it", "packed with gzip; unpack it")]
    [InlineData("\u00fd7zXZ\0", "packed with xz; unpack it", "packed with xz; unpack it")]
    [InlineData("\u0028\u00b5\u002f\u00fd", "packed with zstd; unpack it", "packed with zstd; unpack it")]
    [InlineData("MZ", "an EFI program, not a bzImage; of a unified kernel image", "an EFI or Windows program (PE)")]
    [InlineData("\u007fEL", "neither a bzImage nor an ELF file", "not an ELF file")]
    public void A_file_of_another_kind_is_named(string start, string asKernel, string asProgram)
        => ShouldBeNamed(Encoding.Latin1.GetBytes(start), asKernel, asProgram);

    [Theory]
    [InlineData(0x38, "ARM\u0064", "AArch64")]
    [InlineData(0x30, "RISCV", "RISC-V")]
    [InlineData(0x38, "RSC\u0005", "RISC-V")]
    public void The_image_of_another_machine_is_named(int at, string magic, string machine)
    {
        var image = new byte[4096];
        "MZ"u8.CopyTo(image);
        Encoding.Latin1.GetBytes(magic).CopyTo(image, at);
        ShouldBeNamed(image, $"a kernel for {machine}; give the vmlinuz of an x86-64 Linux", $"a kernel for {machine}; give a static x86-64 program");
    }

    [Theory]
    [InlineData("Memtest86+ v6.10", " (Memtest86+ v6.10)")]
    [InlineData("Memtest86+\n v6.10", " (Memtest86+)")]
    [InlineData("", "")]
    public void What_boots_as_a_kernel_does_and_is_none_is_named(string banner, string name)
    {
        // As memtest86+ has it: the boot protocol's header, and no packed kernel behind it.
        var image = MiniBzImage.Pack(new byte[100], "lz4");
        image.AsSpan(0x248, 8).Clear();
        image.AsSpan(0x400, 64).Clear();
        Encoding.ASCII.GetBytes(banner).CopyTo(image, 0x400);
        ShouldBeNamed(image, $"is booted as a Linux kernel is, but is another program{name}: its boot header names no packed kernel; give the vmlinuz", "an image that is booted as a Linux kernel is (bzImage), not a program");
    }

    [Theory]
    [InlineData(EtRel, ".gnu.linkonce.this_module", "a kernel module, not a kernel; give the vmlinuz", "a kernel module, not a program; give a static")]
    [InlineData(EtRel, ".text", "an object file, not yet linked; give the vmlinuz", "an object file, not yet linked; link it with -static")]
    [InlineData(EtExec, ".uml.setup.init", "User-Mode Linux, a program of its host", "User-Mode Linux, which needs far more system calls")]
    [InlineData(EtDyn, ".uml.help.init", "User-Mode Linux, a program of its host", "User-Mode Linux, which needs far more system calls")]
    [InlineData(EtDyn, ".text", "a dynamic or position-independent ELF file; give the vmlinuz", "a dynamic or position-independent ELF file; link it with -static")]
    [InlineData(EtCore, ".note", "the core dump of a process, not an executable; give the vmlinuz", "the core dump of a process, not an executable; give a static")]
    [InlineData(EtExec, ".text", "has no program headers, so there is nothing to load; give the vmlinuz", "has no program headers, so there is nothing to load; link it")]
    public void An_ELF_file_of_another_kind_is_named(int type, string section, string asKernel, string asProgram)
        => ShouldBeNamed(ElfOf(type, section), asKernel, asProgram);

    [Fact]
    public void Programs_are_no_kernels_for_a_reason_of_their_own()
    {
        var hello = File.ReadAllBytes(LabFolder.Guest("hello"));
        AsKernel(hello).ShouldBe("file: has no linux_banner, so it is no Linux kernel; give the vmlinuz of an x86-64 Linux, or its vmlinux");
        AsKernel(WithoutSections(hello)).ShouldStartWith("file: is no Linux kernel, as it nowhere says \"Linux version\"; ");
        hello[4] = 1;
        ShouldBeNamed(hello, "a 32-bit ELF file; give the vmlinuz", "a 32-bit ELF file; build it with -m64");
        (hello[4], hello[18]) = (2, 183);
        ShouldBeNamed(hello, "built for AArch64; give the vmlinuz", "built for AArch64; build it for x86-64");
    }

    [Fact]
    public void Kernels_are_no_programs_for_a_reason_of_their_own()
    {
        var vmlinux = MiniKernel.Build(MiniKernel.Layout.From64);
        AsProgram(vmlinux).ShouldStartWith("file: linked where a kernel is, and its entry 1000000 is not in its code, so it is no program; ");
        AsProgram(MiniBzImage.Pack(vmlinux, "lz4")).ShouldStartWith("file: an image that is booted as a Linux kernel is (bzImage), not a program; ");
    }

    [Fact]
    public void A_kernel_whose_section_headers_were_stripped_is_told_so()
        => AsKernel(WithoutSections(MiniKernel.Build(MiniKernel.Layout.From70))).ShouldBe(
            "file: is a Linux kernel whose section headers were stripped, and its tables are found by them; give its vmlinuz, or a vmlinux that has them");

    /// <summary>The control: what is a kernel and what is a program is refused by neither.</summary>
    [Fact]
    public void Kernels_and_programs_are_not_refused()
    {
        KernelImage.Parse(MiniKernel.Build(MiniKernel.Layout.From70), "mini").Release.ShouldBe("6.1.0-mini");
        var hello = File.ReadAllBytes(LabFolder.Guest("hello"));
        ProgramImage.Parse(hello, "hello").Entry.ShouldBe(ProgramImage.Parse(WithoutSections(hello), "hello").Entry);
    }

    private static void ShouldBeNamed(byte[] file, string asKernel, string asProgram)
    {
        AsKernel(file).ShouldStartWith("file: " + asKernel);
        AsProgram(file).ShouldStartWith("file: " + asProgram);
    }

    private static string AsKernel(byte[] file) => OneLine(() => KernelImage.Parse(file, "file"));

    private static string AsProgram(byte[] file) => OneLine(() => ProgramImage.Parse(file, "file"));

    private static string OneLine(Action open)
    {
        var message = Should.Throw<BadInputException>(open).Message;
        message.ShouldNotContain('\n');
        message.ShouldContain("; ", customMessage: "it must say what to do");
        return message;
    }

    private static byte[] WithoutSections(byte[] elf)
    {
        var bytes = (byte[])elf.Clone();
        bytes.AsSpan(40, 8).Clear();
        bytes.AsSpan(58, 6).Clear();
        return bytes;
    }

    /// <summary>An ELF file of a type, with one empty section of a name.</summary>
    private static byte[] ElfOf(int type, string section)
    {
        const int header = 64;
        var names = Encoding.ASCII.GetBytes($"\0{section}\0.shstrtab\0");
        var bytes = new byte[header + (3 * header) + names.Length];
        new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(bytes, 0);
        Put16(16, type);
        Put16(18, 62);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(40), header);
        Put16(58, header);
        Put16(60, 3);
        Put16(62, 2);

        // Names at 1 and behind it; PROGBITS, and the table of strings with its place and size.
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(header + header), 1UL | (1UL << 32));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(header + (2 * header)), (ulong)section.Length + 2 + (3UL << 32));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(header + (2 * header) + 24), header + (3 * header));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(header + (2 * header) + 32), (ulong)names.Length);
        names.CopyTo(bytes, header + (3 * header));
        return bytes;

        void Put16(int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)value);
    }
}
