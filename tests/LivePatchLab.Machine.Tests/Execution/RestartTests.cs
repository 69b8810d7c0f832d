using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>What faults in the middle leaves behind: nothing, or for string instructions the elements that are done (SDM vol. 2, REP).</summary>
public unsafe class RestartTests
{
    private static readonly ulong Data = TestMachine.DataStart.Value;
    private static readonly ulong End = Data + TestMachine.DataBytes;

    [Fact]
    public void A_write_that_faults_in_its_second_page_writes_nothing_into_the_first()
    {
        foreach (var instruction in (Action<Assembler>[])
        [
            a => a.mov(__[rbx], rax), a => a.add(__[rbx], rax), a => a.xchg(__[rbx], rax), a => a.@lock.xadd(__[rbx], rax), a => a.@lock.cmpxchg(__[rbx], rcx),
            a => a.@lock.inc(__qword_ptr[rbx]), a => a.bts(__qword_ptr[rbx], 3), a => a.shl(__qword_ptr[rbx], 1), a => a.movbe(__[rbx], rax), a => a.stosq(), a => a.movsq(),
            a => a.pop(__qword_ptr[rbx]),
        ])
        {
            foreach (var isDirty in new[] { false, true })
            {
                using var machine = new TestMachine();
                machine.Load(instruction);
                if (isDirty) machine.Code.MakeDirty(TestMachine.CodeStart);
                machine.Cpu->Registers[Gpr.Rbx] = machine.Cpu->Registers[Gpr.Rdi] = End - 3;
                machine.Cpu->Registers[Gpr.Rsi] = Data;
                machine.Cpu->Registers[Gpr.Rax] = 0x1111_2222_3333_4444;
                var before = machine.State();
                machine.Run(1).ShouldBe(0);
                (machine.Cpu->TrapVector, machine.Cpu->TrapErrorCode, machine.Cpu->TrapAddress).ShouldBe((Traps.PageFault, 2u, End));
                machine.Cpu->ControlRegisters[2].ShouldBe(End);
                machine.State().ShouldBe(before);
            }
        }
    }

    [Fact]
    public void A_repeated_copy_that_faults_goes_on_where_it_was_when_the_page_is_there()
    {
        foreach (var isDescending in new[] { false, true })
        {
            foreach (var size in new ulong[] { 1, 2, 4, 8 })
            {
                using var machine = new TestMachine();
                machine.Load(a =>
                {
                    if (size == 1) a.rep.movsb();
                    else if (size == 2) a.rep.movsw();
                    else if (size == 4) a.rep.movsd();
                    else a.rep.movsq();
                    a.hlt();
                });
                for (var i = 0UL; i < 512; i += 8) machine.Memory.LoadUInt64(new GuestAddress(Data + 0x800 + i), i * 0x0101_0101);

                // 40 elements, of which some 16 bytes' worth are on the page that is not there.
                var (from, to) = isDescending ? (Data + 0x900, Data + 16) : (Data + 0x800, End - 20);
                machine.Cpu->Registers[Gpr.Rsi] = from;
                machine.Cpu->Registers[Gpr.Rdi] = to;
                machine.Cpu->Registers[Gpr.Rcx] = 40;
                if (isDescending) Interpreter.WriteFlags(machine.Cpu, SystemFlag.Direction);
                machine.Run(10).ShouldBe(0);
                var done = 40 - machine.Cpu->Registers[Gpr.Rcx];
                done.ShouldBe(isDescending ? (16 / size) + 1 : 20 / size, $"size {size}");
                var moved = isDescending ? 0 - (done * size) : done * size;
                machine.Cpu->Registers[Gpr.Rsi].ShouldBe(from + moved);
                machine.Cpu->Registers[Gpr.Rdi].ShouldBe(to + moved);
                (machine.Cpu->TrapVector, machine.Cpu->Rip).ShouldBe((Traps.PageFault, TestMachine.CodeStart.Value));

                machine.Memory.Map(TestMachine.DataStart - GuestMemory.PageBytes, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
                machine.Memory.Map(new GuestAddress(End), GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
                machine.Run(10).ShouldBe(2);
                machine.Cpu->Registers[Gpr.Rcx].ShouldBe(0UL);
                var (low, source) = isDescending ? (to - (39 * size), from - (39 * size)) : (to, from);
                machine.Memory.Read(new GuestAddress(low), (int)(40 * size)).ShouldBe(machine.Memory.Read(new GuestAddress(source), (int)(40 * size)));
            }
        }
    }

    [Fact]
    public void A_comparison_that_faults_in_the_middle_finds_the_flags_from_before_it()
    {
        foreach (var isScan in new[] { false, true })
        {
            foreach (var offset in new ulong[] { 16, 13 })
            {
                using var machine = new TestMachine();
                machine.Load(a =>
                {
                    if (isScan) a.repe.scasq();
                    else a.repe.cmpsq();
                });
                machine.Cpu->Registers[Gpr.Rsi] = Data + 0x100;
                machine.Cpu->Registers[Gpr.Rdi] = End - offset;
                machine.Cpu->Registers[Gpr.Rcx] = 10;
                Interpreter.WriteFlags(machine.Cpu, LazyFlags.Carry | LazyFlags.Sign);
                machine.Run(1).ShouldBe(0);
                machine.Cpu->TrapVector.ShouldBe(Traps.PageFault);
                machine.Cpu->Registers[Gpr.Rcx].ShouldBe(10 - (offset / 8));
                Interpreter.ReadFlags(machine.Cpu).ShouldBe(LazyFlags.Carry | LazyFlags.Sign | 2UL);
            }
        }
    }

    [Fact]
    public void A_count_of_0_touches_nothing_and_zero_extends_a_32_bit_count()
    {
        using var machine = new TestMachine();
        machine.Code.Poke(TestMachine.CodeStart, [0x67, 0xf3, 0xaa, 0x67, 0xf3, 0xae, 0xf4]);
        machine.Cpu->Registers[Gpr.Rcx] = 0x1234_5678_0000_0000;
        machine.Cpu->Registers[Gpr.Rdi] = 0x1234_5678_9abc_def0;
        machine.Run(3).ShouldBe(3);
        machine.Cpu->Registers[Gpr.Rcx].ShouldBe(0UL);
        machine.Cpu->Registers[Gpr.Rdi].ShouldBe(0x1234_5678_9abc_def0UL);
    }

    [Fact]
    public void Enter_that_faults_anywhere_changes_nothing_and_goes_on_later()
    {
        foreach (var (rsp, rbp, locals, level) in new (ulong, ulong, int, int)[] { (Data + 16, Data + 0x800, 0, 4), (Data + 8, Data + 0x800, 64, 0), (Data + 0x200, Data + 8, 0, 5) })
        {
            using var machine = new TestMachine();
            machine.Load(a =>
            {
                a.enter((short)locals, (sbyte)level);
                a.hlt();
            });
            machine.Cpu->Registers[Gpr.Rsp] = rsp;
            machine.Cpu->Registers[Gpr.Rbp] = rbp;
            var before = machine.State();
            machine.Run(10).ShouldBe(0);
            machine.Cpu->TrapVector.ShouldBe(Traps.PageFault);
            machine.State().ShouldBe(before);
            machine.Memory.Map(TestMachine.DataStart - GuestMemory.PageBytes, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
            machine.Run(10).ShouldBe(2);
            machine.Cpu->Registers[Gpr.Rbp].ShouldBe(rsp - 8);
            machine.Cpu->Registers[Gpr.Rsp].ShouldBe(rsp - 8 - (ulong)(8 * level) - (ulong)locals);
        }
    }

    [Fact]
    public void Stack_instructions_fault_with_ss_and_cmpxchg16b_demands_alignment()
    {
        foreach (var instruction in (Action<Assembler>[])
            [a => a.pushfq(), a => a.popfq(), a => a.ret(), a => a.call(TestMachine.CodeStart.Value), a => a.enter(8, 0), a => a.enter(8, 3), a => a.leave(), a => a.push(fs), a => a.iretq()])
        {
            using var machine = new TestMachine();
            machine.Load(instruction);
            machine.Cpu->Registers[Gpr.Rsp] = machine.Cpu->Registers[Gpr.Rbp] = 0x8000_0000_1000;
            machine.Run(1).ShouldBe(0);
            (machine.Cpu->TrapVector, machine.Cpu->TrapErrorCode).ShouldBe((Traps.StackFault, 0u));
        }

        using var unaligned = new TestMachine();
        unaligned.Load(a => a.@lock.cmpxchg16b(__xmmword_ptr[rbx]));
        unaligned.Cpu->Registers[Gpr.Rbx] = Data + 8;
        unaligned.Run(1).ShouldBe(0);
        unaligned.Cpu->TrapVector.ShouldBe(Traps.GeneralProtection);
    }
}
