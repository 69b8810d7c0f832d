using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

public sealed class KernelImageTests
{
    [Theory]
    [InlineData(MiniKernel.Layout.To63)]
    [InlineData(MiniKernel.Layout.To63WithSeqs)]
    [InlineData(MiniKernel.Layout.From64)]
    [InlineData(MiniKernel.Layout.From615)]
    [InlineData(MiniKernel.Layout.From70)]
    internal void Symbols_are_found_in_every_layout_of_kallsyms(MiniKernel.Layout layout)
    {
        var image = KernelImage.Parse(MiniKernel.Build(layout), "mini");
        for (var i = 0; i < MiniKernel.Functions; i++)
        {
            var name = MiniKernel.NameOf(i);
            image.Symbols[name[1..]].ShouldBe(At(MiniKernel.TextBase + (ulong)(i * MiniKernel.FunctionBytes)));
        }

        image.Symbols.All.ShouldContain(symbol => symbol.Name == "__x64_sys_read" && symbol.Type == 'T');
        var hasSegment = MiniKernel.HasPerCpuSegment(layout);
        image.PerCpu.ShouldBe(new(At(hasSegment ? 0 : MiniKernel.PerCpuBase), At(MiniKernel.PerCpuBase), MiniKernel.PerCpuBytes));
        image.Symbols["this_cpu_off"].ShouldBe(image.PerCpu!.Linked + MiniKernel.ThisCpuOff);
        image.Symbols.All.Count.ShouldBe(image.Symbols.All.DistinctBy(symbol => symbol.Name).Count());
        image.Symbols.All.Select(symbol => symbol.Address.Value).ShouldBe(image.Symbols.All.Select(symbol => symbol.Address.Value).Order());
    }

    [Fact]
    public void The_tables_of_a_vmlinux_are_read()
    {
        var image = KernelImage.Parse(MiniKernel.Build(MiniKernel.Layout.To63WithSeqs), "mini");
        image.Codec.ShouldBe("none");
        image.Release.ShouldBe("6.1.0-mini");
        image.Banner.ShouldBe("6.1.0-mini (nobody) #1 SMP");
        image.FtraceSites.Count.ShouldBe(MiniKernel.Functions);
        image.FtraceSites[^1].IsEnabled.ShouldBeFalse();
        image.SitesForPatching.Count().ShouldBe(MiniKernel.Functions - 1);
        var key = At(MiniKernel.DataBase);
        image.JumpLabels.ShouldBe(
        [
            new(At(MiniKernel.TextBase + 8), 2, false, At(MiniKernel.TextBase + 64), key, false),
            new(At(MiniKernel.TextBase + 10), 5, false, At(MiniKernel.TextBase + 64), key, true),
        ]);
        image.StaticCalls.ShouldBe([new(At(MiniKernel.TextBase + 24), false, key, "linux_banner")]);
    }

    [Fact]
    public void The_ftrace_table_is_found_by_its_shape_where_its_symbols_are_missing()
    {
        var image = KernelImage.Parse(MiniKernel.Build(MiniKernel.Layout.From64, withMcountSymbols: false), "mini");
        image.Symbols["__start_mcount_loc"].ShouldBeNull();
        image.FtraceSites.Count.ShouldBe(MiniKernel.Functions);
    }

    [Fact]
    public void Segments_are_loaded_where_they_are_linked_and_the_per_cpu_one_where_the_kernel_loads_it()
    {
        using var memory = NewMemory();
        KernelImage.Parse(MiniKernel.Build(MiniKernel.Layout.To63), "mini").LoadInto(memory);
        memory.PermissionsAt(At(MiniKernel.TextBase)).ShouldBe(PagePermissions.Read | PagePermissions.Execute);
        memory.PermissionsAt(At(MiniKernel.DataBase)).ShouldBe(PagePermissions.Read | PagePermissions.Write);
        memory.PermissionsAt(At(0)).ShouldBeNull();
        memory.Read(At(MiniKernel.PerCpuBase), 4).ShouldBe([1, 2, 3, 4]);
    }

    [Fact]
    public void Code_may_be_executed_though_its_segment_says_otherwise()
    {
        // The first segment is that of .text; its flags are those of .init.text in 7.2.
        var bytes = MiniKernel.Build(MiniKernel.Layout.From70);
        bytes[64 + 4] = 6;
        var image = KernelImage.Parse(bytes, "mini");
        image.Elf.Segments[0].Permissions.ShouldBe(PagePermissions.Read | PagePermissions.Write);
        using var machine = new SmpMachine(new MachineOptions { Cpus = 1 });
        new CallableKernel(machine, image).Call("number_of_this_cpu").Value.ShouldBe(0ul);
        machine.Memory.PermissionsAt(At(MiniKernel.DataBase)).ShouldBe(PagePermissions.Read | PagePermissions.Write);
    }

    [Theory]
    [InlineData("lz4")]
    [InlineData("gzip")]
    public void A_packed_kernel_is_unpacked(string codec) => RequireUnpacked(codec);

    [ProgramTheory("xz")]
    [InlineData("xz")]
    [InlineData("lzma")]
    public void A_kernel_packed_by_xz_is_unpacked(string codec) => RequireUnpacked(codec);

    [ProgramTheory("zstd")]
    [InlineData("zstd")]
    public void A_kernel_packed_by_zstd_is_unpacked(string codec) => RequireUnpacked(codec);

    [ProgramTheory("bzip2")]
    [InlineData("bzip2")]
    public void A_kernel_packed_by_bzip2_is_unpacked(string codec) => RequireUnpacked(codec);

    [ProgramTheory("xz")]
    [InlineData("xz")]
    public void A_payload_that_its_program_does_not_accept_is_rejected(string codec)
    {
        var bytes = MiniBzImage.Pack(MiniKernel.Build(MiniKernel.Layout.To63), codec);
        bytes.AsSpan(bytes.Length / 2, 64).Clear();
        Should.Throw<BadInputException>(() => KernelImage.Parse(bytes, "vmlinuz")).Message.ShouldStartWith("vmlinuz: xz unpacks the kernel to only ");
    }

    [Fact]
    public void A_codec_that_is_not_installed_is_named_with_its_package()
    {
        var missing = new ExternalCodec("no-such-codec", [], "some-package");
        Should.Throw<UnsupportedInputException>(() => missing.Unpack(new(new byte[8], "vmlinuz"), 64)).Message
            .ShouldBe("vmlinuz: packed with no-such-codec, which this computer does not have; install the package some-package, or give the vmlinux");
    }

    [Fact]
    public void A_program_is_no_kernel()
        => Should.Throw<BadInputException>(() => KernelImage.Open(LabFolder.Guest("hello"))).Message.ShouldContain("no linux_banner");

    [Fact]
    public void An_unknown_codec_is_rejected_with_its_first_bytes()
    {
        var bytes = MiniBzImage.Pack(MiniKernel.Build(MiniKernel.Layout.To63), "lz4");
        bytes[(3 * 512) + 0x2cc] = 0xee;
        Should.Throw<BadInputException>(() => KernelImage.Parse(bytes, "vmlinuz")).Message.ShouldContain("begins with ee214c18");
    }

    [Fact]
    public void A_truncated_image_is_rejected()
    {
        var bytes = MiniBzImage.Pack(MiniKernel.Build(MiniKernel.Layout.To63), "lz4");
        Should.Throw<BadInputException>(() => KernelImage.Parse(bytes[..^1], "vmlinuz")).Message.ShouldContain("truncated: the packed kernel");
        Should.Throw<BadInputException>(() => KernelImage.Parse(bytes[..0x240], "vmlinuz")).Message.ShouldContain("truncated");
    }

    [Fact]
    public void Damaged_images_load_or_are_rejected() => Damage.NeverSurprises(MiniBzImage.Pack(MiniKernel.Build(MiniKernel.Layout.To63WithSeqs), "lz4"), cases: 500, Use);

    [Theory]
    [InlineData(MiniKernel.Layout.To63)]
    [InlineData(MiniKernel.Layout.From64)]
    [InlineData(MiniKernel.Layout.From70)]
    internal void Damaged_kernels_load_or_are_rejected(MiniKernel.Layout layout) => Damage.NeverSurprises(MiniKernel.Build(layout), cases: 500, Use);

    private static void Use(byte[] bytes)
    {
        var image = KernelImage.Parse(bytes, "mini");
        using var memory = NewMemory();
        image.LoadInto(memory);
        image.Info().Straddlers.Count.ShouldBe(5);
        LeafFunctions.Find(image).Count.ShouldBeGreaterThanOrEqualTo(0);
    }

    private static void RequireUnpacked(string codec)
    {
        var image = KernelImage.Parse(MiniBzImage.Pack(MiniKernel.Build(MiniKernel.Layout.From64), codec), "vmlinuz");
        image.Codec.ShouldBe(codec);
        image.Release.ShouldBe("6.1.0-packed");
        image.FtraceSites.Count.ShouldBe(MiniKernel.Functions);
    }
}

/// <summary>A test that packs something with a program of the computer's.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ProgramTheoryAttribute : TheoryAttribute
{
    public ProgramTheoryAttribute(string program)
    {
        if (!HostTools.HasProgram(program)) Skip = $"no {program} on this computer";
    }
}
