using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Code that changes under CPUs that have decoded it, chained to it, or stopped inside it.</summary>
public unsafe class ChangedCodeTests
{
    [Fact]
    public void A_site_toggled_again_and_again_is_decoded_once_a_form()
    {
        using var machine = new TestMachine();
        var site = TestMachine.CodeStart + 0x80;
        machine.Load(a => a.call(site.Value));
        machine.Load(TestMachine.CodeStart + 5, a => a.jmp(TestMachine.CodeStart.Value));
        machine.Load(site, a =>
        {
            a.nop(__dword_ptr[rax + rax]);
            a.inc(rbx);
            a.ret();
        });
        machine.Load(TestMachine.CodeStart + 0x100, a =>
        {
            a.inc(r12);
            a.ret();
        });
        var nop = machine.Memory.Read(site, 5);
        var call = TestMachine.Assemble(site.Value, a => a.call(TestMachine.CodeStart.Value + 0x100));
        call.Length.ShouldBe(5);
        machine.Run(100).ShouldBe(100);
        machine.Code.Poke(site, call);
        machine.Run(100).ShouldBe(100);

        var decoded = machine.Interpreter.DecodedBlocks;
        var bytes = machine.Interpreter.DecodedBytes;
        long before = 0, retired = 0;
        for (var i = 0; i < 100_000; i++)
        {
            if (i == 1000) before = GC.GetAllocatedBytesForCurrentThread();
            machine.Code.Poke(site, nop);
            retired += machine.Run(10);
            machine.Code.Poke(site, call);
            retired += machine.Run(14);
        }

        retired.ShouldBe(2_400_000);

        machine.Interpreter.DecodedBlocks.ShouldBeLessThan(decoded + 4);
        machine.Interpreter.DecodedBytes.ShouldBe(bytes);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1 << 16);
        machine.Cpu->Registers[12].ShouldBeGreaterThan(150_000UL);
    }

    [Fact]
    public void A_cpu_that_stopped_inside_a_block_goes_on_with_the_new_code()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.mov(eax, 1);
            a.mov(ebx, 2);
            a.mov(ecx, 3);
            a.hlt();
        });
        machine.Run(1).ShouldBe(1);
        machine.Load(TestMachine.CodeStart + 5, a => a.mov(ebx, 0x77));
        machine.Run(10).ShouldBe(3);
        machine.Cpu->Registers[Gpr.Rbx].ShouldBe(0x77UL);
    }

    [Fact]
    public void A_chained_branch_leads_to_the_new_code()
    {
        using var machine = new TestMachine();
        var target = TestMachine.CodeStart + 0x200;
        machine.Load(a => a.jmp(target.Value));
        machine.Load(target, a =>
        {
            a.inc(rax);
            a.jmp(TestMachine.CodeStart.Value);
        });
        machine.Run(30).ShouldBe(30);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(10UL);
        machine.Load(target, a => a.dec(rax));
        machine.Run(30).ShouldBe(30);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(0UL);
    }

    [Fact]
    public void A_store_to_its_own_code_retires_stops_the_run_and_is_executed()
    {
        using var machine = new TestMachine();
        var page = new GuestAddress(0x50_0000);
        machine.Memory.Map(page, 0x1000, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);

        // The immediate of the instruction behind the store.
        machine.Load(page, a => a.mov(__byte_ptr[page.Value + 9], 0x42));
        machine.Load(page + 8, a =>
        {
            a.mov(eax, 1);
            a.hlt();
        });
        machine.Cpu->Rip = page.Value;
        machine.Run(10).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.CodeStored);
        machine.Cpu->Rip.ShouldBe(page.Value + 8);
        machine.Code.Stores.ShouldBe(1);
        machine.Run(10).ShouldBe(2);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(0x42UL);
    }

    [Fact]
    public void A_call_that_pushes_into_code_stops_at_its_target()
    {
        using var machine = new TestMachine();
        var page = new GuestAddress(0x50_0000);
        machine.Memory.Map(page, 0x1000, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        machine.Load(a => a.call(TestMachine.CodeStart.Value + 0x40));
        machine.Load(TestMachine.CodeStart + 0x40, a => a.hlt());
        machine.Cpu->Registers[Gpr.Rsp] = page.Value + 0x108;
        machine.Run(10).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.CodeStored);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + 0x40);
        machine.Memory.ReadUInt64(page + 0x100).ShouldBe(TestMachine.CodeStart.Value + 5);
    }

    [Fact]
    public void Invalidating_lines_without_decoded_code_does_nothing()
    {
        using var machine = new TestMachine();
        machine.Load(a => a.hlt());
        machine.Run(1);
        for (long offset = 0; offset < TestMachine.CodeBytes; offset += 64) machine.Interpreter.InvalidateLine(TestMachine.CodeStart + offset);
        machine.Interpreter.InvalidateLine(TestMachine.DataStart);
        machine.Cpu->Rip = TestMachine.CodeStart.Value;
        machine.Run(1).ShouldBe(1);
        machine.Interpreter.DecodedBlocks.ShouldBe(1);
    }
}
