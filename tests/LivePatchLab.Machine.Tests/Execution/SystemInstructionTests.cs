using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>The instructions that a flat machine keeps values for: what was written is read back, and user programs are refused what is privileged.</summary>
public unsafe class SystemInstructionTests
{
    private static readonly ulong Data = TestMachine.DataStart.Value;

    [Fact]
    public void Privileged_ones_are_general_protection_faults_at_level_3_and_leave_no_trace()
    {
        foreach (var instruction in (Action<Assembler>[])
        [
            a => a.@in(al, dx), a => a.@out(dx, al), a => a.@in(eax, 0x60), a => a.lgdt(__[rbx]), a => a.lidt(__[rbx]), a => a.lldt(ax), a => a.ltr(ax),
            a => a.mov(dr7, rax), a => a.mov(rax, dr6), a => a.sysretq(), a => a.clts(), a => a.rdpmc(), a => a.invlpg(__[rbx]), a => a.wbinvd(), a => a.insb(), a => a.rep.outsd(), a => a.rdmsr(),
        ])
        {
            foreach (var isDirty in new[] { false, true })
            {
                using var machine = new TestMachine();
                machine.Load(instruction);
                if (isDirty) machine.Code.MakeDirty(TestMachine.CodeStart);
                machine.Cpu->Registers[Gpr.Rbx] = Data;
                machine.Cpu->UserMode = 1;
                var before = machine.State();
                machine.Run(1).ShouldBe(0);
                (machine.Cpu->Exit, machine.Cpu->TrapVector, machine.Cpu->TrapErrorCode).ShouldBe((ExecutionExit.Trap, 13, 0u));
                machine.State().ShouldBe(before);
            }
        }
    }

    [Fact]
    public void Loads_that_the_manual_lists_serialise()
    {
        foreach (var instruction in (Action<Assembler>[])
            [a => a.lgdt(__[rbx]), a => a.lidt(__[rbx]), a => a.lldt(bx), a => a.ltr(bx), a => a.mov(dr0, rbx), a => a.invlpg(__[rbx]), a => a.wbinvd()])
        {
            using var machine = new TestMachine();
            var length = machine.Load(instruction).Length;
            machine.Cpu->Registers[Gpr.Rbx] = Data + 0x40;
            machine.Run(10).ShouldBe(1);
            (machine.Cpu->Exit, machine.Cpu->Rip).ShouldBe((ExecutionExit.Serialised, TestMachine.CodeStart.Value + (ulong)length));
        }
    }

    [Fact]
    public void Free_ports_read_ones()
    {
        using var machine = Run(a =>
        {
            a.@out(dx, eax);
            a.@in(al, dx);
            a.mov(ebx, eax);
            a.@in(eax, 0x60);
        }, cpu => cpu->Registers[Gpr.Rax] = 0x1_0000_0000);
        machine.Cpu->Registers[Gpr.Rbx].ShouldBe(0xffUL);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(0xffff_ffffUL);
    }

    [Fact]
    public void Free_ports_fill_strings_with_ones_and_take_any()
    {
        foreach (var at in new[] { Data + 0x100, Data + GuestMemory.PageBytes - 3 })
        {
            using var machine = Run(a =>
            {
                a.rep.insd();
                a.mov(ecx, 3);
                a.rep.outsw();
                a.insb();
            }, cpu =>
            {
                cpu->Registers[Gpr.Rcx] = 5;
                cpu->Registers[Gpr.Rdi] = cpu->Registers[Gpr.Rsi] = at;
            });
            machine.Memory.Read(new GuestAddress(at), 22).ShouldBe([.. Enumerable.Repeat((byte)0xff, 21), 0]);
            (machine.Cpu->Registers[Gpr.Rcx], machine.Cpu->Registers[Gpr.Rdi], machine.Cpu->Registers[Gpr.Rsi]).ShouldBe((0UL, at + 21, at + 6));
        }
    }

    [Fact]
    public void The_model_specific_registers_of_a_booting_kernel_are_kept_and_no_others_are_there()
    {
        foreach (var (number, before, written, after) in new (uint, ulong, ulong, ulong)[]
        {
            (0x1b, 0xfee0_0900, 0xfee0_0d00, 0xfee0_0d00), (0x174, 0, 0x10, 0x10), (0x176, 0, 0xffff_8000_0000_0000, 0xffff_8000_0000_0000), (0xc000_0080, 0xd01, 0x801, 0xc01),
            (0xc000_0081, 0, 0x23_0010UL << 32, 0x23_0010UL << 32), (0xc000_0082, 0, 0xffff_ffff_8100_0000, 0xffff_ffff_8100_0000), (0xc000_0084, 0, 0x4_7700, 0x4_7700), (0xc000_0101, 0, 0x1234, 0x1234),
        })
        {
            using var machine = Run(a =>
            {
                a.rdmsr();
                a.mov(esi, eax);
                a.mov(edi, edx);
                a.mov(eax, r8d);
                a.mov(edx, r9d);
                a.wrmsr();
                a.rdmsr();
            }, cpu =>
            {
                cpu->Registers[Gpr.Rcx] = number;
                cpu->Registers[8] = (uint)written;
                cpu->Registers[9] = written >> 32;
            });
            (machine.Cpu->Registers[Gpr.Rsi] | (machine.Cpu->Registers[Gpr.Rdi] << 32)).ShouldBe(before, $"{number:x}");
            (machine.Cpu->Registers[Gpr.Rax] | (machine.Cpu->Registers[Gpr.Rdx] << 32)).ShouldBe(after, $"{number:x}");
        }

        foreach (var number in new[] { 0x17u, 0x173u, 0x177u, 0x1a0u, 0xc000_0085u, 0xc000_0103u })
            Trap(a => a.rdmsr(), cpu => cpu->Registers[Gpr.Rcx] = number).ShouldBe((13, 0u));
        Trap(a => a.wrmsr(), cpu => (cpu->Registers[Gpr.Rcx], cpu->Registers[Gpr.Rdx]) = (0xc000_0082, 0x8000)).ShouldBe((13, 0u));
        Trap(a => a.wrmsr(), cpu => (cpu->Registers[Gpr.Rcx], cpu->Registers[Gpr.Rax]) = (0xc000_0080, 2)).ShouldBe((13, 0u));
    }

    [Fact]
    public void Reserved_bits_of_control_registers_may_not_be_set()
    {
        Trap(a => a.mov(cr0, rbx), cpu => cpu->Registers[Gpr.Rbx] = 1UL << 32).ShouldBe((13, 0u));
        Trap(a => a.mov(cr4, rbx), cpu => cpu->Registers[Gpr.Rbx] = 1UL << 63).ShouldBe((13, 0u));
        Trap(a => a.mov(cr8, rbx), cpu => cpu->Registers[Gpr.Rbx] = 16).ShouldBe((13, 0u));
    }

    [Fact]
    public void Fs_and_gs_go_over_the_stack()
    {
        using var machine = Run(a =>
        {
            a.push(0x2b);
            a.pop(gs);
            a.mov(eax, gs);
            a.push(gs);
            a.pop(rbx);
        }, cpu => cpu->GsBase = 0x5000);
        (machine.Cpu->Registers[Gpr.Rax], machine.Cpu->Registers[Gpr.Rbx], machine.Cpu->GsBase).ShouldBe((0x2bUL, 0x2bUL, 0UL));
    }

    [Fact]
    public void Far_jumps_check_the_selector_and_go_on_in_flat_code()
    {
        foreach (var (selector, isUser, errorCode) in new (ulong, bool, uint?)[] { (0x10, false, null), (0x33, true, null), (0x33, false, 0x30), (3, true, 0), (0, false, 0) })
        {
            foreach (var at in new[] { Data, Data + GuestMemory.PageBytes - 5 })
            {
                using var machine = new TestMachine();
                machine.Load(a => a.db(0x48, 0xff, 0x2b));
                machine.Load(TestMachine.CodeStart + 0x40, a => a.int3());
                machine.Memory.LoadUInt64(new GuestAddress(at + 2), selector << 48);
                machine.Memory.LoadUInt64(new GuestAddress(at), TestMachine.CodeStart.Value + 0x40);
                machine.Cpu->Registers[Gpr.Rbx] = at;
                machine.Cpu->UserMode = isUser ? 1 : 0;
                machine.Run(2).ShouldBe(errorCode is null ? 2 : 0);
                (machine.Cpu->TrapVector, machine.Cpu->TrapErrorCode).ShouldBe(errorCode is { } code ? (13, code) : (3, machine.Cpu->TrapErrorCode));
            }
        }
    }

    [Fact]
    public void Descriptor_tables_and_system_segments_are_read_back()
    {
        foreach (var at in new[] { Data + 0x100, Data + GuestMemory.PageBytes - 5 })
        {
            using var machine = Run(a =>
            {
                a.lgdt(__[rbx]);
                a.sgdt(__[rbx + 16]);
                a.sidt(__[rbx + 32]);
                a.lldt(__word_ptr[rbx]);
                a.ltr(cx);
                a.sldt(rax);
                a.str(__word_ptr[rbx + 48]);
            }, cpu =>
            {
                cpu->Registers[Gpr.Rbx] = at;
                cpu->Registers[Gpr.Rcx] = 0x40;
            }, (at, [0x7f, 0, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff]));
            machine.Memory.Read(new GuestAddress(at + 16), 10).ShouldBe([0x7f, 0, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff]);
            machine.Memory.Read(new GuestAddress(at + 32), 10).ShouldAllBe(b => b == 0);
            machine.Cpu->Registers[Gpr.Rax].ShouldBe(0x7fUL);
            machine.Memory.Read(new GuestAddress(at + 48), 4).ShouldBe([0x40, 0, 0, 0]);
        }
    }

    [Fact]
    public void Debug_registers_have_their_fixed_bits_and_their_aliases()
    {
        using var machine = Run(a =>
        {
            a.mov(dr3, rbx);
            a.mov(rax, dr3);
            a.mov(rcx, dr6);
            a.mov(dr7, rdi);
            a.mov(rdx, dr5);
        }, cpu =>
        {
            cpu->Registers[Gpr.Rbx] = 0xffff_8000_0000_1234;
            cpu->Registers[Gpr.Rdi] = 0xffff_ffff;
        });
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(0xffff_8000_0000_1234UL);
        machine.Cpu->Registers[Gpr.Rcx].ShouldBe(0xffff_0ff0UL);
        machine.Cpu->Registers[Gpr.Rdx].ShouldBe(0xffff_2fffUL);
        Trap(a => a.mov(dr6, rbx), cpu => cpu->Registers[Gpr.Rbx] = 1UL << 32).ShouldBe((13, 0u));
        Trap(a => a.mov(rax, dr4), cpu => cpu->ControlRegisters[4] = 8).ShouldBe((6, 0u));
    }

    [Fact]
    public void Selectors_are_kept_and_take_the_base_with_them()
    {
        using var machine = Run(a =>
        {
            a.mov(ds, ecx);
            a.mov(gs, ecx);
            a.mov(ss, edx);
            a.mov(eax, ds);
            a.mov(__word_ptr[rbx], gs);
            a.mov(esi, cs);
            a.mov(edi, ss);
        }, cpu =>
        {
            cpu->Registers[Gpr.Rbx] = Data;
            cpu->Registers[Gpr.Rcx] = 0x1_002b;
            cpu->Registers[Gpr.Rdx] = 0x18;
            cpu->GsBase = 0x1234;
        });
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(0x2bUL);
        machine.Memory.ReadUInt64(new GuestAddress(Data)).ShouldBe(0x2bUL);
        machine.Cpu->GsBase.ShouldBe(0UL);
        (machine.Cpu->Registers[Gpr.Rsi], machine.Cpu->Registers[Gpr.Rdi]).ShouldBe((0x10UL, 0x18UL));
        Trap(a => a.mov(ss, ecx), cpu => cpu->Registers[Gpr.Rcx] = 0x2b).ShouldBe((13, 0x28u));
    }

    [Fact]
    public void Segments_are_checked_against_the_privilege_level()
    {
        foreach (var (selector, kernelReads, kernelWrites, userReads, userWrites) in new (int, bool, bool, bool, bool)[]
            { (0, false, false, false, false), (0x10, true, false, false, false), (0x18, true, true, false, false), (0x2b, true, true, true, true), (0x33, true, false, true, false) })
        {
            foreach (var isUser in new[] { false, true })
            {
                using var machine = Run(a =>
                {
                    a.verr(bx);
                    a.sete(al);
                    a.verw(bx);
                    a.sete(cl);
                    a.lsl(edx, ebx);
                }, cpu =>
                {
                    cpu->Registers[Gpr.Rbx] = (ulong)selector;
                    cpu->UserMode = isUser ? 1 : 0;
                });
                (machine.Cpu->Registers[Gpr.Rax] != 0).ShouldBe(isUser ? userReads : kernelReads);
                (machine.Cpu->Registers[Gpr.Rcx] != 0).ShouldBe(isUser ? userWrites : kernelWrites);
                machine.Cpu->Registers[Gpr.Rdx].ShouldBe((isUser ? userReads : kernelReads) ? uint.MaxValue : 0UL);
            }
        }
    }

    [HostTheory]
    [InlineData(0)]
    [InlineData(0x10)]
    [InlineData(0x18)]
    [InlineData(0x2b)]
    [InlineData(0x33)]
    public void User_programs_see_the_segments_of_the_host(int selector)
    {
        static void Check(Assembler a)
        {
            a.verr(bx);
            a.sete(al);
            a.verw(bx);
            a.sete(cl);
            a.lar(edx, ebx);
            a.lsl(r8d, ebx);
        }

        using var host = new HostProcessor();
        ref var state = ref host.State(0);
        state.SetRegister(Gpr.Rbx, (ulong)selector);
        host.Run(0, TestMachine.Assemble(TestMachine.CodeStart.Value, Check));
        host.RefusalOf(0).ShouldBeNull();
        using var machine = Run(Check, cpu =>
        {
            cpu->Registers[Gpr.Rbx] = (ulong)selector;
            cpu->UserMode = 1;
        });
        foreach (var register in new[] { Gpr.Rax, Gpr.Rcx, Gpr.Rdx, 8 }) machine.Cpu->Registers[register].ShouldBe(state.RegisterAfter(register), $"register {register}");
    }

    [Fact]
    public void Sysret_takes_rip_and_flags_from_registers_and_tells_the_machine()
    {
        foreach (var isOn in new[] { false, true })
        {
            using var machine = new TestMachine();
            machine.Load(a => a.sysretq());
            machine.Load(TestMachine.CodeStart + 0x40, a => a.hlt());
            Interpreter.WriteFlags(machine.Cpu, isOn ? 0x202UL : 2);
            machine.Cpu->Registers[Gpr.Rcx] = TestMachine.CodeStart.Value + 0x40;
            machine.Cpu->Registers[Gpr.R11] = 0x1_0247;
            machine.Run(10).ShouldBe(1);
            machine.Cpu->Exit.ShouldBe(ExecutionExit.SystemReturn);
            machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + 0x40);
            Interpreter.ReadFlags(machine.Cpu).ShouldBe(0x247UL);
            machine.Cpu->UserMode.ShouldBe(1);
        }

        Trap(a => a.sysretq(), cpu => cpu->Registers[Gpr.Rcx] = 1UL << 47).ShouldBe((13, 0u));
    }

    [Fact]
    public void Far_return_goes_to_the_level_of_its_selector()
    {
        foreach (var (selector, isUser) in new[] { (0x10UL, false), (0x33UL, true) })
        {
            using var machine = new TestMachine();
            machine.Code.Poke(TestMachine.CodeStart, [0x48, 0xca, 8, 0]);
            machine.Load(TestMachine.CodeStart + 0x40, a => a.int3());
            ulong[] words = [TestMachine.CodeStart.Value + 0x40, selector, 0, Data + 0x800, 0x2b];
            for (var i = 0; i < words.Length; i++) machine.Memory.LoadUInt64(TestMachine.DataStart + 0x100 + (8 * i), words[i]);
            machine.Cpu->Registers[Gpr.Rsp] = Data + 0x100;
            machine.Run(1).ShouldBe(1);
            machine.Run(1).ShouldBe(1);
            machine.Cpu->Rip.ShouldBe(words[0] + 1);
            machine.Cpu->Registers[Gpr.Rsp].ShouldBe(isUser ? Data + 0x808 : Data + 0x118);
            (machine.Cpu->UserMode != 0).ShouldBe(isUser);
        }

        // A null selector.
        Trap(a => a.db(0x48, 0xcb), cpu => cpu->Registers[Gpr.Rsp] = Data).ShouldBe((13, 0u));
    }

    private delegate void Prepare(CpuState* cpu);

    private static TestMachine Run(Action<Assembler> program, Prepare prepare, (ulong Address, byte[] Bytes)? data = null)
    {
        var machine = new TestMachine();
        machine.Load(assembler =>
        {
            program(assembler);
            assembler.int3();
        });
        prepare(machine.Cpu);
        if (data is { } given) machine.Memory.Load(new GuestAddress(given.Address), given.Bytes);
        do machine.Run(100).ShouldBeGreaterThan(0);
        while (machine.Cpu->Exit == ExecutionExit.Serialised);
        (machine.Cpu->Exit, machine.Cpu->TrapVector).ShouldBe((ExecutionExit.Trap, Traps.Breakpoint));
        return machine;
    }

    private static (int Vector, uint ErrorCode) Trap(Action<Assembler> program, Prepare prepare)
    {
        using var machine = new TestMachine();
        machine.Load(program);
        prepare(machine.Cpu);
        machine.Run(1).ShouldBe(0);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Trap);
        return (machine.Cpu->TrapVector, machine.Cpu->TrapErrorCode);
    }
}
