using System.Security.Cryptography;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>Real kernels. What any of them must hold is asked of the one that is at hand; exact counts only of the images they were counted in.</summary>
public sealed class DebianKernelTests
{
    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud61)]
    [KernelData(KernelFolder.Generic61)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void The_tables_of_a_kernel_agree_with_each_other(string kernel)
    {
        var image = KernelFolder.Open(kernel);
        image.Symbols["_text"].ShouldBe(image.TextBase);
        image.FtraceSites.Select(site => site.Address).SequenceEqual(McountTable.ByShape(image.Elf).Order()).ShouldBeTrue();

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
            var name = image.Elf.BytesAt(nameAt, 512, "a name");
            byName[System.Text.Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)])].ShouldContain(value);
        }

        image.JumpLabels.ShouldAllBe(site => image.Elf.Sections.Any(section => section.IsExecutable && section.Contains(site.Address, (ulong)site.Length)));
        foreach (var site in image.StaticCalls)
        {
            image.Elf.BytesAt(site.Address, StaticCallSite.Length, "a call")[0].ShouldBe(site.IsTailCall ? (byte)0xe9 : (byte)0xe8);
            site.KeyName.ShouldStartWith("__SCK__");
        }
    }

    /// <summary>What must hold of the counts whatever the release, so that nothing is lost where the one whose counts are known is not to be had.</summary>
    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud61)]
    [KernelData(KernelFolder.Generic61)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void The_counts_of_any_release_are_those_of_its_tables_and_near_the_known_ones(string kernel)
    {
        var image = KernelFolder.Open(kernel);
        var info = image.Info();
        var known = KnownKernel.Named(kernel);
        KernelFolder.Find(kernel)!.ShouldEndWith("/vmlinuz-" + info.Version);
        info.Codec.ShouldBe(known.Codec);

        long Table(string start, string stop) => image.Symbols[stop].ShouldNotBeNull() - image.Symbols[start].ShouldNotBeNull();
        info.JumpLabels.ShouldBe((int)(Table("__start___jump_table", "__stop___jump_table") / 16));
        info.StaticCalls.ShouldBe((int)(Table("__start_static_call_sites", "__stop_static_call_sites") / 8));
        var mcount = image.Elf.BytesAt(image.Symbols["__start_mcount_loc"].ShouldNotBeNull(), (int)Table("__start_mcount_loc", "__stop_mcount_loc"), "the table").ToArray();
        info.FtraceSites.ShouldBe(Enumerable.Range(0, mcount.Length / 8).Count(i => BitConverter.ToUInt64(mcount, 8 * i) != 0));
        var ofInit = image.Elf.Section(".init.text").ShouldNotBeNull();
        info.FtraceSites.ShouldBe(image.TextFtraceSites.Count + image.FtraceSites.Count(site => ofInit.Contains(site.Address)));

        // Two releases of a version of Linux differ by some fixes; the newest Debian has may be of a later version.
        var tolerance = IsSameVersion(info.Version, known.Exact) ? 5 : 50;
        Near(info.Symbols, known.Symbols);
        Near(info.FtraceSites, known.FtraceSites);
        Near(image.TextFtraceSites.Count, known.TextFtraceSites);
        Near(image.SitesForPatching.Count(), known.EnabledSites);
        Near(info.JumpLabels, known.JumpLabels);
        Near(info.StaticCalls, known.StaticCalls);

        // Functions begin at multiples of 16, or their sites 4 bytes behind one: only what is laid out otherwise lies across lines.
        var straddlers = info.Straddlers.Select(counts => counts.FtraceSites).ToList();
        straddlers.ShouldBe(straddlers.OrderDescending());
        for (var i = 0; i < straddlers.Count; i++)
            Math.Abs(straddlers[i] - known.FtraceStraddlers[i]).ShouldBeLessThanOrEqualTo(20 + (known.FtraceStraddlers[i] * tolerance / 100), $"{info.Straddlers[i].LineBytes}");

        // Labels and calls lie anywhere: of those of 5 bytes four in 64 begin within four bytes of a line's end, of those of 2 bytes one.
        var line = info.Straddlers.Single(counts => counts.LineBytes == 64);
        var expected = image.JumpLabels.Sum(site => site.Length - 1) / 64.0;
        ((double)line.JumpLabels).ShouldBeInRange(expected * 0.8, expected * 1.2);
        ((double)line.StaticCalls).ShouldBeInRange(info.StaticCalls * 4 / 64.0 * 0.8, info.StaticCalls * 4 / 64.0 * 1.2);

        void Near(int count, int exact) => count.ShouldBeInRange(exact * (100 - tolerance) / 100, exact * (100 + tolerance) / 100);
        static bool IsSameVersion(string release, string image) => image.StartsWith($"vmlinuz-{string.Join('.', release.Split('.').Take(2))}.", StringComparison.Ordinal);
    }

    [Theory]
    [KernelData(KernelFolder.ExactCloud510)]
    [KernelData(KernelFolder.ExactCloud61)]
    [KernelData(KernelFolder.ExactGeneric61)]
    [KernelData(KernelFolder.ExactCloud612)]
    [KernelData(KernelFolder.ExactCloud7)]
    public void A_release_has_the_counts_that_are_known_of_it(string kernel)
    {
        var image = KernelFolder.Open(kernel);
        var info = image.Info();
        var known = KnownKernel.Named(kernel);
        (info.Codec, info.Symbols, info.FtraceSites, info.JumpLabels, info.StaticCalls).ShouldBe((known.Codec, known.Symbols, known.FtraceSites, known.JumpLabels, known.StaticCalls));
        image.TextFtraceSites.Count.ShouldBe(known.TextFtraceSites);
        image.SitesForPatching.Count().ShouldBe(known.EnabledSites);
        info.Straddlers.Select(counts => counts.FtraceSites).ShouldBe(known.FtraceStraddlers);
    }

    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud61)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void A_kernel_is_loaded_where_its_symbols_say(string kernel)
    {
        var image = KernelFolder.Open(kernel);
        using var memory = NewMemory();
        image.LoadInto(memory);
        memory.PermissionsAt(image.TextBase).ShouldBe(PagePermissions.Read | PagePermissions.Execute);
        foreach (var section in image.Elf.Sections.Where(section => section.IsExecutable && section.Size > 0))
        {
            memory.PermissionsAt(section.Address).ShouldNotBeNull().HasFlag(PagePermissions.Execute).ShouldBeTrue(section.Name);
            memory.PermissionsAt(section.Address + (long)(section.Size - 1)).ShouldNotBeNull().HasFlag(PagePermissions.Execute).ShouldBeTrue(section.Name);
        }

        var banner = memory.Read(image.Symbols["linux_banner"].ShouldNotBeNull(), 14);
        banner.ShouldBe("Linux version "u8.ToArray());
        var perCpu = image.PerCpu.ShouldNotBeNull();
        memory.Read(perCpu.Load, 4096).ShouldBe(image.Elf.Section(".data..percpu").ShouldNotBeNull().Content[..4096].ToArray());
    }

    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud61)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void Leaf_functions_are_pure_and_include_known_ones(string kernel)
    {
        var image = KernelFolder.Open(kernel);
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
    public void The_tables_of_the_cloud_kernel_hold_what_is_known_of_them()
    {
        var image = KernelFolder.Open(KernelFolder.ExactCloud61);
        var info = image.Info();
        info.Version.ShouldBe("6.1.0-56-cloud-amd64");
        info.Straddlers.ShouldContain(new StraddlerCounts(64, 16, 223, 250));
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

    [KernelFact(KernelFolder.ExactCloud612)]
    public void Functions_that_begin_with_endbr64_are_found_behind_it()
        => LeafFunctions.Find(KernelFolder.Open(KernelFolder.ExactCloud612)).ShouldContain(leaf => leaf.Site - leaf.Address == 4);
}
