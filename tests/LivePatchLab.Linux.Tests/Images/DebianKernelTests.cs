using System.Security.Cryptography;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>Real kernels. What any of them must hold is asked of the one that is at hand; exact counts only of the images they were counted in.</summary>
public sealed class DebianKernelTests
{
    [KernelFact]
    public void The_tables_of_a_kernel_agree_with_each_other()
    {
        var image = KernelFolder.Open(KernelFolder.Cloud61);
        image.Symbols["_text"].ShouldBe(image.TextBase);
        image.FtraceSites.Select(site => site.Address).ShouldBe(McountTable.ByShape(image.Elf));

        // Every site of the image calls __fentry__.
        var fentry = image.Symbols["__fentry__"].ShouldNotBeNull();
        foreach (var site in image.FtraceSites)
        {
            var bytes = image.Elf.BytesAt(site.Address, FtraceSite.Length, "a site");
            bytes[0].ShouldBe((byte)0xe8);
            (site.Address + FtraceSite.Length + BitConverter.ToInt32(bytes[1..])).ShouldBe(fentry);
        }

        // The exported symbols are a second table of names and addresses, with nothing in common with kallsyms but the truth.
        var byName = image.Symbols.All.ToLookup(symbol => symbol.Name, symbol => symbol.Address);
        var exported = image.Elf.Section("__ksymtab").ShouldNotBeNull();
        for (var at = 0; at < (int)exported.Size; at += 12)
        {
            var place = exported.Address + at;
            var value = place + BitConverter.ToInt32(exported.Content.Span[at..]);
            var nameAt = place + 4 + BitConverter.ToInt32(exported.Content.Span[(at + 4)..]);
            var name = image.Elf.BytesAt(nameAt, 64, "a name");
            byName[System.Text.Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)])].ShouldContain(value);
        }

        image.JumpLabels.ShouldAllBe(site => image.Elf.Sections.Any(section => section.IsExecutable && section.Contains(site.Address, (ulong)site.Length)));
        foreach (var site in image.StaticCalls)
        {
            image.Elf.BytesAt(site.Address, StaticCallSite.Length, "a call")[0].ShouldBe(site.IsTailCall ? (byte)0xe9 : (byte)0xe8);
            site.KeyName.ShouldStartWith("__SCK__");
        }
    }

    [KernelFact]
    public void A_kernel_is_loaded_where_its_symbols_say()
    {
        var image = KernelFolder.Open(KernelFolder.Cloud61);
        using var memory = NewMemory();
        image.LoadInto(memory);
        memory.PermissionsAt(image.TextBase).ShouldBe(PagePermissions.Read | PagePermissions.Execute);
        var banner = memory.Read(image.Symbols["linux_banner"].ShouldNotBeNull(), 14);
        banner.ShouldBe("Linux version "u8.ToArray());
        var load = image.PerCpuLoad.ShouldNotBeNull();
        memory.Read(load, 4096).ShouldBe(image.Elf.Segments.Single(segment => segment.Address.Value == 0).Content[..4096].ToArray());
    }

    [KernelFact]
    public void Leaf_functions_are_pure_and_include_known_ones()
    {
        var image = KernelFolder.Open(KernelFolder.Cloud61);
        var leaves = LeafFunctions.Find(image);
        leaves.Count.ShouldBeInRange(500, 4_000);
        var names = leaves.Select(leaf => leaf.Name).ToList();
        names.ShouldContain("mktime64");
        // These touch memory, call, or use the stack.
        foreach (var name in (string[])["vfs_read", "strlen", "memcpy", "schedule", "int_sqrt", "do_sync_core", "text_poke"]) names.ShouldNotContain(name);
        leaves.ShouldAllBe(leaf => leaf.Site >= leaf.Address && leaf.Length > FtraceSite.Length);
    }

    [KernelFact]
    public void Damaged_images_load_or_are_rejected()
    {
        var path = KernelFolder.Find(KernelFolder.Cloud61).ShouldNotBeNull();
        Damage.NeverSurprises(File.ReadAllBytes(path), cases: 12, bytes => KernelImage.Parse(bytes, "vmlinuz").Info());
    }

    [KernelFact(KernelFolder.ExactCloud61)]
    public void The_cloud_kernel_has_the_counts_of_its_boot()
    {
        var image = KernelFolder.Open(KernelFolder.ExactCloud61);
        var info = image.Info();
        (info.Version, info.Codec).ShouldBe(("6.1.0-56-cloud-amd64", "lz4"));
        (info.Symbols, info.FtraceSites, info.JumpLabels, info.StaticCalls).ShouldBe((87_347, 37_697, 5_980, 4_276));
        image.TextFtraceSites.Count.ShouldBe(35_609);
        image.SitesForPatching.Count().ShouldBe(35_051);
        info.Straddlers.ShouldContain(new StraddlerCounts(64, 16, 223, 250));
        info.Straddlers.Select(counts => counts.FtraceSites).ShouldBe([135, 69, 34, 16, 0]);
        image.JumpLabels.CountBy(site => (site.Length, site.IsJump)).ToDictionary().ShouldBe(
            new Dictionary<(int, bool), int> { [(2, false)] = 3_011, [(5, false)] = 2_767, [(2, true)] = 134, [(5, true)] = 68 }, ignoreOrder: true);
        image.JumpLabels.DistinctBy(site => site.Key).Count().ShouldBe(2_539);
        image.StaticCalls.Count(site => site.IsTailCall).ShouldBe(27);
        LeafFunctions.Find(image).Count.ShouldBe(1_016);
        image.StaticCalls.CountBy(site => site.KeyName).MaxBy(key => key.Value).ShouldBe(new("__SCK__preempt_schedule_notrace", 1_049));
    }

    [KernelFact(KernelFolder.ExactCloud61)]
    public void The_cloud_kernel_unpacks_to_the_bytes_that_the_lz4_program_gives()
    {
        var payload = BzImage.Payload(ImageBytes.Of(KernelFolder.Find(KernelFolder.ExactCloud61)!));
        var (_, vmlinux) = KernelPayload.Unpack(payload);
        vmlinux.Length.ShouldBe(53_243_444);
        Convert.ToHexStringLower(SHA256.HashData(vmlinux)).ShouldStartWith("b2b9d602a316b2db");
    }

    [KernelFact(KernelFolder.ExactGeneric61)]
    public void The_generic_kernel_has_its_counts()
    {
        var image = KernelFolder.Open(KernelFolder.ExactGeneric61);
        var info = image.Info();
        (info.Codec, info.Symbols, info.FtraceSites, info.JumpLabels, info.StaticCalls).ShouldBe(("xz", 94_266, 40_521, 6_299, 4_085));
        image.TextFtraceSites.Count.ShouldBe(38_252);
        info.Straddlers.Select(counts => counts.FtraceSites).ShouldBe([164, 84, 44, 20, 0]);
    }

    [KernelFact(KernelFolder.ExactCloud612)]
    public void A_kernel_of_the_later_layout_has_its_counts()
    {
        var image = KernelFolder.Open(KernelFolder.ExactCloud612);
        var info = image.Info();
        (info.Codec, info.Symbols, info.FtraceSites, info.JumpLabels, info.StaticCalls).ShouldBe(("zstd", 154_686, 42_567, 8_977, 7_872));
        image.TextFtraceSites.Count.ShouldBe(40_339);
        // Its functions begin with endbr64, and the weak leftovers are already gone from its table.
        image.SitesForPatching.Count().ShouldBe(40_339);
        info.Straddlers.Select(counts => counts.FtraceSites).ShouldBe([33_420, 0, 0, 0, 0]);
        LeafFunctions.Find(image).ShouldContain(leaf => leaf.Site - leaf.Address == 4);
    }
}
