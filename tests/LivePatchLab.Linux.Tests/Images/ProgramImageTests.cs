using System.Buffers.Binary;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

public sealed class ProgramImageTests
{
    private static readonly byte[] Nop5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];

    private readonly ProgramImage _sites = ProgramImage.Open(LabFolder.Guest("sites"));

    [Fact]
    public void The_sites_are_sorted_though_the_linker_did_not_sort_them()
    {
        var elf = ElfFile.Open(LabFolder.Guest("sites"));
        var section = elf.Section("__mcount_loc").ShouldNotBeNull().Content;
        var asLinked = Enumerable.Range(0, section.Length / 8).Select(i => At(BinaryPrimitives.ReadUInt64LittleEndian(section.Span[(8 * i)..]))).ToList();
        asLinked.SequenceEqual(asLinked.Order()).ShouldBeFalse();
        _sites.FtraceSites.Select(site => site.Address).ShouldBe(asLinked.Order());
    }

    [Fact]
    public void Each_site_is_the_nop_at_the_start_of_a_traced_function()
    {
        using var memory = NewMemory();
        _sites.LoadInto(memory);
        foreach (var site in _sites.FtraceSites)
        {
            memory.Read(site.Address, FtraceSite.Length).ShouldBe(Nop5);
            _sites.Symbols.HasSymbolAt(site.Address).ShouldBeTrue();
        }

        var names = _sites.FtraceSites.Select(site => _sites.Symbols.NameOf(site.Address)).ToList();
        foreach (var name in (string[])["empty", "mix", "fib", "mix_twice", "classify", "combine", "rare", "straddling", "visit", "guest_main"]) names.ShouldContain(name);
        names.ShouldNotContain("guest_start");
    }

    [Fact]
    public void One_site_of_the_guest_straddles_a_cache_line()
        => _sites.FtraceSites.Where(site => site.Address.Straddles(FtraceSite.Length, 64)).Select(site => _sites.Symbols.NameOf(site.Address)).ShouldBe(["straddling"]);

    [Fact]
    public void Segments_are_mapped_with_their_permissions_and_bss_is_zero()
    {
        using var memory = NewMemory();
        _sites.LoadInto(memory);
        memory.PermissionsAt(_sites.Entry).ShouldBe(PagePermissions.Read | PagePermissions.Execute);
        var slots = _sites.Symbols["slots"].ShouldNotBeNull();
        memory.PermissionsAt(slots).ShouldBe(PagePermissions.Read | PagePermissions.Write);
        memory.Read(slots, 64 * 1024).ShouldAllBe(value => value == 0);
        memory.PermissionsAt(At(0x400000)).ShouldBe(PagePermissions.Read);
        memory.PermissionsAt(At(0x500000)).ShouldBeNull();
    }

    [Fact]
    public void Addresses_are_named_by_the_nearest_symbol_of_their_segment()
    {
        var mix = _sites.Symbols["mix"].ShouldNotBeNull();
        _sites.Symbols.NameOf(mix).ShouldBe("mix");
        _sites.Symbols.NameOf(mix + 0x12).ShouldBe("mix+0x12");
        _sites.Symbols.NameOf(At(0x7000_0000)).ShouldBe("0x70000000");
        _sites.Symbols.NameOf(At(0x400010)).ShouldBe("0x400010");
        _sites.Symbols["no_such_function"].ShouldBeNull();
    }

    [Fact]
    public void A_page_of_two_segments_has_the_permissions_of_both()
    {
        using var memory = NewMemory();
        SegmentLoading.Load(memory,
        [
            new(At(0x1000), 0, 0x1800, PagePermissions.Read | PagePermissions.Execute, new byte[] { 1 }),
            new(At(0x2800), 0, 0x1000, PagePermissions.Read | PagePermissions.Write, new byte[] { 2 }),
        ]);
        memory.PermissionsAt(At(0x1000)).ShouldBe(PagePermissions.Read | PagePermissions.Execute);
        memory.PermissionsAt(At(0x2000)).ShouldBe(PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        memory.PermissionsAt(At(0x3000)).ShouldBe(PagePermissions.Read | PagePermissions.Write);
        memory.Read(At(0x2800), 1).ShouldBe([2]);
    }

    [Fact]
    public void An_entry_outside_the_code_is_rejected()
    {
        var bytes = File.ReadAllBytes(LabFolder.Guest("hello"));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), 0x400000);
        Should.Throw<BadInputException>(() => ProgramImage.Parse(bytes, "hello")).Message.ShouldContain("entry 400000");
    }

    [Theory]
    [InlineData(0x500000ul, "not code of the program")]
    [InlineData(0x403100ul, "not code of the program")]
    public void A_site_outside_the_code_is_rejected(ulong address, string reason)
        => Should.Throw<BadInputException>(() => ProgramImage.Parse(WithFirstSite(_ => address), "sites")).Message.ShouldContain(reason);

    [Fact]
    public void Overlapping_sites_are_rejected()
        => Should.Throw<BadInputException>(() => ProgramImage.Parse(WithFirstSite(second => second + 1), "sites")).Message.ShouldContain("overlap");

    [Fact]
    public void A_dropped_site_is_no_site()
        => ProgramImage.Parse(WithFirstSite(_ => 0), "sites").FtraceSites.Count.ShouldBe(_sites.FtraceSites.Count - 1);

    private static byte[] WithFirstSite(Func<ulong, ulong> fromSecond)
    {
        var bytes = File.ReadAllBytes(LabFolder.Guest("sites"));
        var section = ElfFile.Parse(bytes, "sites").Section("__mcount_loc").ShouldNotBeNull().Content;
        var at = bytes.AsSpan().IndexOf(section.Span);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), fromSecond(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at + 8))));
        return bytes;
    }
}
