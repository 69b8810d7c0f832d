using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Linux.Tests;

public sealed class SiteTableTests
{
    private const string Header = "# kernel 6.1.0-test; .text base ffffffff81000000; n=3; hex deltas\n";

    [Fact]
    public void The_plain_form_is_read()
    {
        var table = Parse(Header + "1c10,40\n5\n");
        table.KernelName.ShouldBe("6.1.0-test");
        table.TextBase.ShouldBe(At(0xffffffff81000000));
        table.Sites.ShouldBe([new(At(0xffffffff81001c10)), new(At(0xffffffff81001c50)), new(At(0xffffffff81001c55))]);
    }

    [Fact]
    public void A_weak_leftover_is_marked()
    {
        var table = Parse(Header + "0,40w,40\n");
        table.Sites.Select(site => site.IsEnabled).ShouldBe([true, false, true]);
        table.EnabledCount.ShouldBe(2);
    }

    [Theory]
    [InlineData("", 1, "no header")]
    [InlineData("1c10,40,40\n", 1, "no header")]
    [InlineData("# kernel x; .text base ffffffff81000000\n5\n", 1, "the header must be")]
    [InlineData("# kernel x; .text base nowhere; n=1\n5\n", 1, "the header must be")]
    [InlineData("# kernel x; .text base 400000; n=1\n5\n", 1, "outside the kernel's window")]
    [InlineData("# kernel x; .text base ffffffff81000000; n=-1\n5\n", 1, "the header must be")]
    [InlineData(Header + "10,20\n", 2, "truncated")]
    [InlineData(Header + "10,20,30,40\n", 2, "damaged")]
    [InlineData(Header + "10,20\n0\n", 3, "must ascend")]
    [InlineData(Header + "10,20,4\n", 2, "must ascend")]
    [InlineData(Header + "10,20,fffffffffffffff0\n", 2, "must ascend")]
    [InlineData(Header + "10,20,-30\n", 2, "'-30' is not a hexadecimal delta")]
    [InlineData(Header + "10,20,\n", 2, "'' is not a hexadecimal delta")]
    [InlineData(Header + "10,zebra,20\n", 2, "'zebra' is not")]
    [InlineData(Header + "10,20ww,20\n", 2, "'20ww' is not")]
    [InlineData(Header + "10,20,00000000000000030\n", 2, "is not a hexadecimal delta")]
    [InlineData(Header + "10,20,40000000\n", 2, "leaves the kernel's window")]
    [InlineData(Header + "10,20,3efffff0\n", 2, "leaves the kernel's window")]
    [InlineData(Header + "fffffffff0000000,20,30\n", 2, "leaves the kernel's window")]
    public void A_damaged_table_is_rejected_with_its_line(string text, int line, string reason)
    {
        var message = Should.Throw<BadInputException>(() => Parse(text)).Message;
        message.ShouldStartWith($"sites.csv:{line}: ");
        message.ShouldContain(reason);
        message.ShouldContain("; ", customMessage: "it must say what to do");
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        var gap = Gen.Frequency((8, Gen.Choose(5, 4096)), (1, Gen.Choose(5, 9)), (1, Gen.Choose(4096, 1 << 20)));
        var sites = Gen.ListOf(gap.SelectMany(bytes => Gen.Elements(true, false).Select(enabled => (bytes, enabled)))).Select(list =>
        {
            var at = At(0xffffffff81000000);
            return list.Select(next => new FtraceSite(at += next.bytes, next.enabled)).ToArray();
        });
        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(sites.ToArbitrary(), list =>
        {
            var read = Parse(Text(new SiteTable("6.1.0-test", At(0xffffffff81000000), list).Write));
            read.Sites.ShouldBe(list);
            return read.KernelName == "6.1.0-test";
        }));
    }

    [Fact]
    public void The_embedded_table_has_the_sites_of_the_debian_kernel()
    {
        var table = EmbeddedKernels.Debian61Cloud;
        table.Sites.Count.ShouldBe(35_609);
        table.EnabledCount.ShouldBe(35_051);
        ((int[])[8, 16, 32, 64, 4096]).Select(bytes => table.Sites.Count(site => site.Address.Straddles(FtraceSite.Length, bytes))).ShouldBe([135, 69, 34, 16, 0]);
        table.Sites.Select(site => site.Address.Value / 64).Distinct().Count().ShouldBe(31_522);
        table.Sites.Select(site => site.Address.Value / 4096).Distinct().Count().ShouldBe(2_363);
        Text(table.Write).ShouldBe(File.ReadAllText(LabFolder.KernelTable("6.1.0-56-cloud.ftrace.csv")));
    }

    [Fact]
    public void The_embedded_jump_labels_are_read_and_written()
    {
        var table = EmbeddedKernels.Debian61CloudJumpLabels;
        table.Sites.Count.ShouldBe(5_822);
        table.Sites.ShouldAllBe(site => site.Length == 2 || site.Length == 5);
        table.Sites.ShouldContain(site => site.IsJump);
        Text(table.Write).ShouldBe(File.ReadAllText(LabFolder.KernelTable("6.1.0-56-cloud.jumplabels.csv")));
    }

    [Fact]
    public void The_embedded_static_calls_are_read_and_written()
    {
        var table = EmbeddedKernels.Debian61CloudStaticCalls;
        table.Sites.Count.ShouldBe(4_222);
        table.Sites.ShouldAllBe(site => site.KeyName.StartsWith("__SCK__"));
        table.Sites.Count(site => site.KeyName == "__SCK__preempt_schedule_notrace").ShouldBeGreaterThan(900);
        Text(table.Write).ShouldBe(File.ReadAllText(LabFolder.KernelTable("6.1.0-56-cloud.staticcalls.csv")));
    }

    [Theory]
    [InlineData("10,3,n,4,20,0", "length '3'")]
    [InlineData("10,2,x,4,20,0", "state 'x'")]
    [InlineData("10,2,n,near,20,0", "'near'")]
    [InlineData("10,2,n,4,20,2", "branch bit")]
    [InlineData("10,2,n,4,20", "5 fields where 6")]
    [InlineData("zz,2,n,4,20,0", "'zz'")]
    [InlineData("ffffffff,2,n,4,20,0", "outside the kernel's window")]
    [InlineData("10,2,n,4,20,0\n10,2,n,4,20,0", "n=1")]
    public void A_damaged_jump_label_is_rejected(string line, string reason)
        => Should.Throw<BadInputException>(() => JumpLabelTable.Parse(new StringReader("# kernel x; .text base ffffffff81000000; n=1\n" + line), "labels.csv")).Message.ShouldContain(reason);

    [Theory]
    [InlineData("10,E7,__SCK__x\n20,E8,__SCK__x", "'E7'")]
    [InlineData("10,E8\n20,E8,__SCK__x", "2 fields where 3")]
    [InlineData("20,E8,__SCK__x\n10,E8,__SCK__x", "sort the table")]
    [InlineData("20,E8,__SCK__x", "truncated")]
    public void A_damaged_static_call_is_rejected(string lines, string reason)
        => Should.Throw<BadInputException>(() => StaticCallTable.Parse(new StringReader("# kernel x; .text base ffffffff81000000; n=2\n" + lines), "calls.csv")).Message.ShouldContain(reason);

    [KernelFact(KernelFolder.ExactCloud61)]
    public void The_committed_tables_are_those_of_the_image()
    {
        var image = KernelFolder.Open(KernelFolder.ExactCloud61);
        Text(SiteTable.FromKernel(image).Write).ShouldBe(File.ReadAllText(LabFolder.KernelTable("6.1.0-56-cloud.ftrace.csv")));
        Text(JumpLabelTable.FromKernel(image).Write).ShouldBe(File.ReadAllText(LabFolder.KernelTable("6.1.0-56-cloud.jumplabels.csv")));
        Text(StaticCallTable.FromKernel(image).Write).ShouldBe(File.ReadAllText(LabFolder.KernelTable("6.1.0-56-cloud.staticcalls.csv")));
    }

    private static SiteTable Parse(string text) => SiteTable.Parse(new StringReader(text), "sites.csv");

    private static string Text(Action<TextWriter> write)
    {
        var writer = new StringWriter();
        write(writer);
        return writer.ToString();
    }
}
