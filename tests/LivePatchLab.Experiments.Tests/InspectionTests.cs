using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments.Tests;

/// <summary>Expressions on registers, dumps, stacks, and the code around RIP.</summary>
public sealed class InspectionTests
{
    [Theory]
    [InlineData("rdi + 8*rcx", 0x1018)]
    [InlineData("RDI+8*(rcx-1)", 0x1010)]
    [InlineData("0x10*2 - 40", unchecked((ulong)-8L))]
    [InlineData("-rcx * -2", 6)]
    [InlineData("  7 ", 7)]
    [InlineData("[rsp]", 2)]
    [InlineData("[rsp + 8*2] - [rsp+16]", 0)]
    [InlineData("spin_lock - guest_main", unchecked((ulong)(0x401010L - 0x4010b0)))]
    [InlineData("0xffffffffffffffff + 2", 1)]
    [InlineData("((((rcx))))", 3)]
    public void An_expression_has_the_value_that_lea_would_compute(string expression, ulong value)
    {
        using var program = ProgramTests.Locks(cpus: 1);
        (program.Cpus[0].Rdi, program.Cpus[0].Rcx) = (0x1000, 3);
        program.Cpus[0].Eval(expression).Value.ShouldBe(value);
    }

    [Theory]
    [InlineData("rdi + 8*rxc", 9, "'rxc' is neither a register nor a symbol here. Did you mean rcx?")]
    [InlineData("", 1, "a register, a number or a symbol is missing at the end")]
    [InlineData("rdi +", 6, "a register, a number or a symbol is missing at the end")]
    [InlineData("rdi rsi", 5, "'r' is not expected here")]
    [InlineData("(rdi + 2", 1, "'(' is not closed")]
    [InlineData("2 * [rsp", 5, "'[' is not closed")]
    [InlineData("rdi / 2", 5, "'/' is not expected here")]
    [InlineData("4 + 12ab", 5, "'12ab' is no 64-bit number; hexadecimal ones begin with 0x")]
    [InlineData("0x12345678901234567", 1, "'0x12345678901234567' is no 64-bit number; hexadecimal ones begin with 0x")]
    [InlineData("1 + [8]", 5, "the 8 bytes at 8 are not mapped")]
    public void A_mistake_is_named_with_its_column(string expression, int column, string problem)
    {
        using var program = ProgramTests.Locks(cpus: 1);
        Should.Throw<BadInputException>(() => program.Cpus[0].Eval(expression)).Message.ShouldBe($"\"{expression}\", column {column}: {problem}");
    }

    [Fact]
    public void Brackets_without_end_do_not_exhaust_the_stack()
    {
        using var program = ProgramTests.Locks(cpus: 1);
        foreach (var opening in new[] { "(", "-", "[" })
            Should.Throw<BadInputException>(() => program.Cpus[0].Eval(string.Concat(Enumerable.Repeat(opening, 100_000)))).Message.ShouldContain("inside each other");
    }

    [Fact]
    public void A_value_that_is_an_address_of_code_says_its_name()
    {
        using var program = ProgramTests.Locks(cpus: 1);
        program.Cpus[0].Eval("spin_lock + 4").ToString().ShouldBe("0x401014 = 4198420 = spin_lock+0x4");
        program.Cpus[0].Eval("-1").ToString().ShouldBe("0xffffffffffffffff = -1");
    }

    [Fact]
    public void A_dump_is_what_memory_holds_with_its_symbols_and_what_is_not_mapped_left_blank()
    {
        using var program = ProgramTests.Locks(cpus: 1);
        var dump = program.Memory("spin_lock - 2", 20);
        dump.Rows.Select(row => row.Address.Value).ShouldBe([0x401000UL, 0x401010UL, 0x401020UL]);
        dump.Rows[0].Bytes.Take(14).ShouldAllBe(b => b == null);
        dump.Rows.SelectMany(row => row.Bytes).OfType<byte>().ShouldBe(program.Machine.Memory.Read(new(0x40100e), 20));
        dump.Rows[1].Marks.ShouldContain(new MemoryMark(0, 1, "spin_lock"));
        program.Machine.Dump(new(0x10), 4).Rows.ShouldHaveSingleItem().Bytes.ShouldAllBe(b => b == null);
        program.Machine.Dump(new(ulong.MaxValue - 3), 8).Rows.Count.ShouldBe(2, "a range may wrap, as addresses do");
        Should.Throw<BadInputException>(() => program.Memory("rsp", 0)).Message.ShouldBe("0 bytes: a dump has 1 to 65,536");
    }

    [Fact]
    public void A_dump_marks_sites_and_int3_in_code_alone()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 4, Costs = CostPreset.Unit, Workload = Workload.Idle });
        var site = lab.Text.Sites[1];
        lab.Machine.TryStoreCode(lab.Machine.Cpus[0], site, [Patching.BreakpointState.Int3]).ShouldBeTrue();
        var marks = lab.Machine.Dump(site, 5).Rows.SelectMany(row => row.Marks).Select(mark => mark.Text).ToArray();
        marks.ShouldBe(["function_1", "site 1", "int3"]);
        lab.Machine.Memory.Map(new(0x1000), 16, PagePermissions.Read | PagePermissions.Write);
        lab.Machine.Memory.Load(new(0x1000), [0xcc]);
        lab.Machine.Dump(new(0x1000), 1).Rows[0].Marks.ShouldBeEmpty("data is no INT3");
    }

    [Fact]
    public void The_stack_shows_the_return_address_by_name()
    {
        using var program = ProgramTests.Locks(cpus: 1);
        program.RunUntil("spin_lock");
        var stack = program.Cpus[0].Stack(3);
        stack.Words.Select(word => word.Offset).ShouldBe([0, 8, 16]);
        stack.Words[0].Value.Name.ShouldNotBeNull().ShouldStartWith("guest_main+0x");
        stack.Words[0].Value.Value.ShouldBe(program.Cpus[0].Eval("[rsp]").Value);
        program.Cpus[0].Rsp = 8;
        program.Cpus[0].Stack().Words.ShouldBeEmpty();
    }

    [Fact]
    public void The_code_around_rip_begins_before_it_and_tells_who_is_there()
    {
        using var program = ProgramTests.Locks(cpus: 2);
        program.RunUntil("spin_lock+5");
        var cpu = program.Cpus.First(each => each.Rip.Value == program.Cpus[0].Eval("spin_lock+5").Value);
        var listing = cpu.Disassemble(6);
        listing.Lines.Count.ShouldBe(6);
        var here = listing.Lines.Single(line => line.Next.Contains(cpu.Id));
        here.Address.ShouldBe(cpu.Rip);
        listing.Lines[0].Label.ShouldBe("spin_lock");
        var whole = program.Disassemble("spin_lock");
        whole.Lines.Select(line => line.Text).ShouldContain("ret");
        whole.Lines[^1].Address.ShouldBeLessThan(program.Image.Symbols["spin_unlock"]!.Value);
    }

    [Fact]
    public void Looking_changes_nothing()
    {
        using var looked = ProgramTests.Locks(cpus: 2);
        using var alone = ProgramTests.Locks(cpus: 2);
        looked.Step(50);
        alone.Step(50);
        looked.Cpus[1].Disassemble();
        looked.Cpus[1].Stack();
        looked.Memory("rsp");
        looked.Cpus[0].Eval("[rsp] + rflags");
        looked.Hash().ShouldBe(alone.Hash());
        looked.Run();
        alone.Run();
        looked.Hash().ShouldBe(alone.Hash());
    }
}
