using Iced.Intel;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

public sealed class SyntheticTextTests : IDisposable
{
    private static readonly Register[] Scratch = [Register.RAX, Register.RCX, Register.RDX, Register.RSP];

    private readonly GuestMemory _memory = NewMemory();

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void Every_site_is_a_nop_before_a_harmless_body_that_ends_before_the_next()
    {
        var table = EmbeddedKernels.Debian61Cloud;
        var text = SyntheticText.LayOut(_memory, table, cpus: 4);
        var code = _memory.Read(table.TextBase, (int)(text.TextEnd - table.TextBase));
        var information = new InstructionInfoFactory();
        var lengths = new HashSet<int>();
        for (var i = 0; i < table.Sites.Count; i++)
        {
            var start = (int)(table.Sites[i].Address - table.TextBase);
            var end = i + 1 < table.Sites.Count ? (int)(table.Sites[i + 1].Address - table.TextBase) : code.Length;
            code.AsSpan(start, FtraceSite.Length).SequenceEqual<byte>([0x0f, 0x1f, 0x44, 0, 0]).ShouldBeTrue();
            var decoder = Decoder.Create(64, code.AsSpan(start, Math.Min(end - start, 256)).ToArray());
            Instruction instruction;
            do
            {
                instruction = decoder.Decode();
                instruction.IsInvalid.ShouldBeFalse($"site {table.Sites[i]}");
                if (instruction.Code != Code.Retnq && instruction.Mnemonic != Mnemonic.Nop) RequireHarmless(instruction, information);
            }
            while (instruction.Code != Code.Retnq);
            var length = (int)instruction.NextIP;
            lengths.Add(length);
            code.AsSpan(start + length, end - start - length).IndexOfAnyExcept((byte)0xcc).ShouldBe(-1, $"padding after site {table.Sites[i]}");
        }

        lengths.Count.ShouldBeGreaterThan(20);
    }

    [Fact]
    public void Between_sites_too_close_for_a_body_the_nop_falls_through()
    {
        var table = new SiteTable("x", At(0xffffffff81000000), [new(At(0xffffffff81000000)), new(At(0xffffffff81000005)), new(At(0xffffffff8100000b))]);
        SyntheticText.LayOut(_memory, table, cpus: 1);
        _memory.Read(table.TextBase, 11).ShouldBe([0x0f, 0x1f, 0x44, 0, 0, 0x0f, 0x1f, 0x44, 0, 0, 0xc3]);
    }

    [Fact]
    public void The_function_table_has_the_enabled_sites()
    {
        var table = EmbeddedKernels.Debian61Cloud;
        var text = SyntheticText.LayOut(_memory, table, cpus: 1);
        text.Functions.Count.ShouldBe(35_051);
        table.Sites.Where(site => site.IsEnabled).Select((site, i) => _memory.ReadUInt64(text.FunctionTable + (8L * i)) == site.Address.Value).ShouldAllBe(same => same);
    }

    [Fact]
    public void The_routines_are_within_reach_of_every_site()
    {
        var text = SyntheticText.LayOut(_memory, EmbeddedKernels.Debian61Cloud, cpus: 2);
        (text.FtraceCaller - text.Table.TextBase).ShouldBeInRange(0, int.MaxValue);
        Listing(text.FtraceCaller, 2).ShouldBe(["inc qword ptr gs:[0]", "ret"]);
        var driver = Listing(text.DriverEntry, 18);
        driver.ShouldContain("inc qword ptr gs:[8]");
        driver.ShouldContain("call qword ptr [rbx+rax*8]");
    }

    [Fact]
    public void Pages_have_the_permissions_of_their_use()
    {
        var text = SyntheticText.LayOut(_memory, EmbeddedKernels.Debian61Cloud, cpus: 3);
        const PagePermissions Code = PagePermissions.Read | PagePermissions.Execute, Data = PagePermissions.Read | PagePermissions.Write;
        _memory.PermissionsAt(text.Table.Sites[^1].Address).ShouldBe(Code);
        _memory.PermissionsAt(text.FtraceCaller).ShouldBe(Code);
        _memory.PermissionsAt(text.FunctionTable).ShouldBe(Data);
        for (var cpu = 0; cpu < 3; cpu++)
        {
            _memory.PermissionsAt(text.PerCpuBase(new(cpu))).ShouldBe(Data);
            _memory.PermissionsAt(text.StackTop(new(cpu)) - 8).ShouldBe(Data);
            _memory.PermissionsAt(text.StackTop(new(cpu)) - 4097).ShouldBeNull();
        }

        Should.Throw<ArgumentOutOfRangeException>(() => text.StackTop(new(3)));
    }

    [Fact]
    public void The_same_table_gives_the_same_text()
    {
        using var other = NewMemory();
        var text = SyntheticText.LayOut(_memory, EmbeddedKernels.Debian61Cloud, cpus: 1);
        SyntheticText.LayOut(other, EmbeddedKernels.Debian61Cloud, cpus: 1);
        var start = text.Table.TextBase;
        var length = (int)(text.PerCpuBase(new(0)) - start) + TracedText.PerCpuBytes;
        _memory.Read(start, length).AsSpan().SequenceEqual(other.Read(start, length)).ShouldBeTrue();
    }

    [Fact]
    public void There_must_be_a_cpu() => Should.Throw<ArgumentOutOfRangeException>(() => SyntheticText.LayOut(_memory, EmbeddedKernels.Debian61Cloud, cpus: 0));

    private static void RequireHarmless(in Instruction instruction, InstructionInfoFactory information)
    {
        var info = information.GetInfo(instruction);
        info.GetUsedMemory().Any().ShouldBeFalse($"{instruction} touches memory");
        foreach (var used in info.GetUsedRegisters()) Scratch.ShouldContain(used.Register.GetFullRegister(), $"{instruction}");
        instruction.FlowControl.ShouldBe(FlowControl.Next);
        instruction.Mnemonic.ShouldNotBe(Mnemonic.Div);
    }

    private List<string> Listing(GuestAddress start, int count)
    {
        var formatter = new IntelFormatter { Options = { SpaceAfterOperandSeparator = true, SmallHexNumbersInDecimal = true, AlwaysShowScale = false } };
        var decoder = Decoder.Create(64, _memory.Read(start, 128), start.Value);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var output = new StringOutput();
            formatter.Format(decoder.Decode(), output);
            return output.ToStringAndReset();
        })];
    }
}
