using System.Buffers.Binary;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

public sealed class ElfFileTests
{
    private const int FirstProgramHeader = 64, ProgramHeaderBytes = 56;

    private static readonly byte[] Hello = File.ReadAllBytes(LabFolder.Guest("hello"));

    [Fact]
    public void A_static_program_is_read_with_its_segments_sections_and_symbols()
    {
        var elf = ElfFile.Parse(Hello, "hello");
        elf.Entry.ShouldBe(elf.ReadSymbols().Single(symbol => symbol.Name == "_start").Address);
        elf.Segments.ShouldContain(segment => segment.Permissions == (PagePermissions.Read | PagePermissions.Execute));
        elf.Section(".text").ShouldNotBeNull().IsExecutable.ShouldBeTrue();
        elf.ReadSymbols().ShouldContain(symbol => symbol.Name == "guest_main" && symbol.Type == 'T');
        elf.ReadSymbols().ShouldContain(symbol => symbol.Name == "guest_start" && symbol.Type == 't');
    }

    [Fact]
    public void Sections_may_be_stripped()
    {
        var bytes = Changed(data =>
        {
            BinaryPrimitives.WriteUInt64LittleEndian(data.AsSpan(40), 0);
            BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(60), 0);
        });
        var elf = ElfFile.Parse(bytes, "hello");
        elf.Sections.ShouldBeEmpty();
        elf.ReadSymbols().ShouldBeEmpty();
        elf.Segments.ShouldNotBeEmpty();
    }

    [Theory]
    [InlineData(4, new byte[] { 1 }, "32-bit")]
    [InlineData(5, new byte[] { 2 }, "big-endian")]
    [InlineData(18, new byte[] { 183, 0 }, "AArch64")]
    [InlineData(18, new byte[] { 3, 0 }, "i386")]
    [InlineData(16, new byte[] { 3 }, "position-independent")]
    [InlineData(16, new byte[] { 1 }, "object file")]
    [InlineData(16, new byte[] { 4 }, "not an executable")]
    [InlineData(0, new byte[] { 0 }, "not an ELF file")]
    [InlineData(56, new byte[] { 0, 0 }, "no program headers")]
    [InlineData(54, new byte[] { 32 }, "program headers of 32 bytes")]
    [InlineData(58, new byte[] { 40 }, "section headers of 40 bytes")]
    [InlineData(FirstProgramHeader, new byte[] { 2 }, "dynamically linked")]
    [InlineData(FirstProgramHeader, new byte[] { 3 }, "dynamically linked")]
    [InlineData(FirstProgramHeader + 16, new byte[] { 0, 0, 0, 0, 1 }, "outside the machine's window")]
    [InlineData(FirstProgramHeader + 16, new byte[] { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "outside the machine's window")]
    [InlineData(FirstProgramHeader + 16, new byte[] { 0, 0x10, 0x40 }, "overlap")]
    [InlineData(FirstProgramHeader + 40, new byte[] { 1, 0 }, "more than in memory")]
    [InlineData(FirstProgramHeader + 8, new byte[] { 0, 0, 0, 1 }, "truncated")]
    [InlineData(40, new byte[] { 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "truncated")]
    public void A_file_that_is_no_static_program_is_rejected_in_one_line(int offset, byte[] change, string reason)
    {
        var bytes = Changed(data => change.CopyTo(data, offset));
        var message = Should.Throw<BadInputException>(() => ElfFile.Parse(bytes, "dir/hello")).Message;
        message.ShouldStartWith("dir/hello: ");
        message.ShouldContain(reason);
        message.ShouldContain("; ", customMessage: "it must say what to do");
        message.ShouldNotContain('\n');
    }

    [Fact]
    public void A_file_cut_anywhere_in_its_headers_is_truncated()
    {
        for (var length = 4; length < FirstProgramHeader + (2 * ProgramHeaderBytes); length++)
            Should.Throw<BadInputException>(() => ElfFile.Parse(Hello[..length], "hello")).Message.ShouldContain("truncated");
        Should.Throw<BadInputException>(() => ElfFile.Parse(Hello[..^1], "hello")).Message.ShouldContain("truncated");
    }

    [Fact]
    public void A_missing_file_is_named()
        => Should.Throw<BadInputException>(() => ElfFile.Open("/nowhere/at/all")).Message.ShouldBe("/nowhere/at/all: no such file; check the path");

    [Fact]
    public void A_folder_is_no_file()
        => Should.Throw<BadInputException>(() => ElfFile.Open(LabFolder.Root)).Message.ShouldBe($"{LabFolder.Root}: a folder; give a file");

    [Fact]
    public void Damaged_programs_load_or_are_rejected() => Damage.NeverSurprises(File.ReadAllBytes(LabFolder.Guest("sites")), cases: 2000, bytes =>
    {
        var program = ProgramImage.Parse(bytes, "sites");
        using var memory = NewMemory();
        program.LoadInto(memory);
        program.Symbols.NameOf(program.Entry).ShouldNotBeEmpty();
    });

    [Fact]
    public void A_symbol_whose_name_is_empty_names_nothing()
    {
        // What a random test has found: the entry's name begins at the end of another.
        var damage = new Damage([(979, 0), (9865, 1)], Length: null);
        var program = ProgramImage.Parse(damage.To(File.ReadAllBytes(LabFolder.Guest("sites"))), "sites");
        program.Symbols.NameOf(program.Entry).ShouldNotBeEmpty();
        program.Symbols.All.ShouldAllBe(symbol => symbol.Name.Length > 0);
    }

    private static byte[] Changed(Action<byte[]> change)
    {
        var bytes = (byte[])Hello.Clone();
        change(bytes);
        return bytes;
    }
}
