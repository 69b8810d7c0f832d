using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Faults leave no trace and RIP on the instruction; traps and exits have RIP behind it. Counts are exact either way.</summary>
public unsafe class TrapTests
{
    private const ulong Unmapped = 0x1234_5000, NonCanonical = 0x8000_0000_0000, OutsideWindow = 0x7fff_0000_0000;

    private static readonly ulong Data = TestMachine.DataStart.Value;

    [Fact]
    public void A_fault_in_the_middle_of_a_block_counts_what_was_before_it_and_nothing_else()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.mov(rbx, Unmapped);
            a.mov(eax, 7);
            a.add(eax, 0x7ffffff9);
            a.add(__[rbx + 8], eax);
            a.inc(eax);
            a.hlt();
        });
        machine.Run(100).ShouldBe(3);
        ShouldTrap(machine, 14, errorCode: 2, address: Unmapped + 8);
        Interpreter.ReadFlags(machine.Cpu).ShouldBe(0x896UL, "the flags of ADD, though nothing but the fault can see them");

        // Restartable: the machine maps the page, and the instruction does it all.
        machine.Memory.Map(new GuestAddress(Unmapped), 0x1000, PagePermissions.Read | PagePermissions.Write);
        machine.Run(100).ShouldBe(3);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Halt);
        machine.Memory.ReadUInt64(new GuestAddress(Unmapped + 8)).ShouldBe(0x80000000UL);
    }

    [Fact]
    public void Page_faults_say_what_was_tried()
    {
        Fault(a => a.mov(eax, __[rbx]), Unmapped, 14, 0, Unmapped);
        Fault(a => a.mov(__[rbx], eax), Unmapped, 14, 2, Unmapped);
        Fault(a => a.mov(__[rbx], eax), TestMachine.CodeStart.Value, 14, 3, TestMachine.CodeStart.Value);
        Fault(a => a.jmp(rbx), Unmapped, 14, 0x10, Unmapped, ripIsTarget: true);
        Fault(a => a.jmp(rbx), Data, 14, 0x11, Data, ripIsTarget: true);
        Fault(a => a.mov(eax, __[rbx]), Unmapped, 14, 4, Unmapped, user: true);
        Fault(a => a.mov(__[rbx], eax), TestMachine.CodeStart.Value, 14, 7, TestMachine.CodeStart.Value, user: true);
        Fault(a => a.jmp(rbx), Data, 14, 0x15, Data, ripIsTarget: true, user: true);
        Fault(a => a.mov(eax, __[rbx]), OutsideWindow, 14, 0, OutsideWindow);
        Fault(a => a.jmp(rbx), OutsideWindow, 14, 0x10, OutsideWindow, ripIsTarget: true);
        Fault(a => a.push(rax), OutsideWindow + 8, 14, 2, OutsideWindow, register: Gpr.Rsp);
        Fault(a => a.mov(rax, __[rbx]), Data + TestMachine.DataBytes - 3, 14, 0, Data + TestMachine.DataBytes);
        Fault(a => a.mov(__[rbx], rax), Data + TestMachine.DataBytes - 3, 14, 2, Data + TestMachine.DataBytes);
    }

    [Fact]
    public void Non_canonical_addresses_are_general_protection_faults_and_stack_faults_on_the_stack()
    {
        Fault(a => a.mov(eax, __[rbx]), NonCanonical, 13);
        Fault(a => a.jmp(rbx), NonCanonical, 13);
        Fault(a => a.call(rbx), NonCanonical, 13);
        Fault(a => a.mov(rax, __[rbp]), NonCanonical, 12, register: Gpr.Rbp);
        Fault(a => a.push(rax), NonCanonical + 8, 12, register: Gpr.Rsp);
        Fault(a => a.pop(rax), NonCanonical, 12, register: Gpr.Rsp);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(0x3fff)]
    [InlineData(0x8000_0000_0000_0000)]
    [InlineData(ulong.MaxValue)]
    public void No_address_that_is_jumped_to_is_taken_for_one_that_was_decoded(ulong target)
    {
        using var machine = new TestMachine();
        machine.Load(a => a.jmp(rbx));
        machine.Cpu->Registers[Gpr.Rbx] = target;
        while (machine.Run(1) == 1) { }
        machine.Cpu->TrapVector.ShouldBe(target == 0x8000_0000_0000_0000 ? Traps.GeneralProtection : Traps.PageFault);
        machine.Cpu->Rip.ShouldBe(target == 0x8000_0000_0000_0000 ? TestMachine.CodeStart.Value : target);
    }

    [Fact]
    public void A_return_to_a_non_canonical_address_faults_before_the_stack_pointer_moves()
    {
        using var machine = new TestMachine();
        machine.Load(a => a.ret());
        var top = machine.Cpu->Registers[Gpr.Rsp];
        machine.Memory.LoadUInt64(new GuestAddress(top), NonCanonical);
        machine.Run(1).ShouldBe(0);
        ShouldTrap(machine, 13);
        machine.Cpu->Registers[Gpr.Rsp].ShouldBe(top);
    }

    [Fact]
    public void Division_by_zero_and_quotients_that_do_not_fit_are_divide_errors()
    {
        foreach (var (high, low, divisor) in new[] { (0UL, 1UL, 0UL), (5UL, 0UL, 5UL), (1UL, 0UL, 1UL) })
        {
            using var machine = new TestMachine();
            machine.Load(a => a.div(rbx));
            machine.Cpu->Registers[Gpr.Rax] = low;
            machine.Cpu->Registers[Gpr.Rdx] = high;
            machine.Cpu->Registers[Gpr.Rbx] = divisor;
            machine.Run(1).ShouldBe(0);
            ShouldTrap(machine, 0);
        }

        using var signed = new TestMachine();
        signed.Load(a => a.idiv(ebx));
        signed.Cpu->Registers[Gpr.Rax] = 0x8000_0000;
        signed.Cpu->Registers[Gpr.Rdx] = 0xffff_ffff;
        signed.Cpu->Registers[Gpr.Rbx] = 0xffff_ffff;
        signed.Run(1).ShouldBe(0);
        ShouldTrap(signed, 0);
    }

    [Fact]
    public void Int3_retires_and_ud2_does_not()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.nop();
            a.int3();
            a.ud2();
        });
        machine.Run(10).ShouldBe(2);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Trap);
        machine.Cpu->TrapVector.ShouldBe(3);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + 2);
        machine.Run(10).ShouldBe(0);
        ShouldTrap(machine, 6);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + 2);
    }

    [Fact]
    public void Lock_where_it_may_not_be_is_undefined()
    {
        using var machine = new TestMachine();
        machine.Code.Poke(TestMachine.CodeStart, [0xf0, 0x48, 0x01, 0xc3]);
        machine.Run(1).ShouldBe(0);
        ShouldTrap(machine, 6);
    }

    [Fact]
    public void Instructions_that_the_machine_does_not_have_are_undefined()
    {
        using var machine = new TestMachine();
        machine.Load(a => a.addps(xmm0, xmm1));
        machine.Run(1).ShouldBe(0);
        ShouldTrap(machine, 6);
    }

    [Fact]
    public void User_programs_may_not_use_privileged_instructions()
    {
        Fault(a => a.hlt(), 0, 13, user: true);
        Fault(a => a.cli(), 0, 13, user: true);
        Fault(a => a.mov(cr3, rax), 0, 13, user: true);
        Fault(a => a.swapgs(), 0, 13, user: true);
        Fault(a => a.wrmsr(), 0, 13, user: true);
    }

    [Fact]
    public void Exits_have_rip_behind_the_instruction()
    {
        Exit(a => a.hlt(), ExecutionExit.Halt);
        Exit(a => a.syscall(), ExecutionExit.Syscall);
        Exit(a => a.cpuid(), ExecutionExit.Serialised);
        Exit(a => a.mov(cr3, rax), ExecutionExit.Serialised);
    }

    [Fact]
    public void Software_interrupts_have_gates_for_exceptions_of_which_programs_may_use_two()
    {
        foreach (var (vector, isUser, expected, errorCode) in new (byte, bool, int, uint)[]
            { (3, true, 3, 0), (4, true, 4, 0), (13, false, 13, 0), (13, true, 13, (13 * 8) + 2), (1, true, 13, 10), (0x80, true, 13, 0x402), (0x80, false, 13, 0x402) })
        {
            using var machine = new TestMachine();
            machine.Code.Poke(TestMachine.CodeStart, [0xcd, vector]);
            machine.Cpu->UserMode = isUser ? 1 : 0;
            var isTrap = errorCode == 0;
            machine.Run(1).ShouldBe(isTrap ? 1 : 0);
            ShouldTrap(machine, expected, errorCode);
            machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + (isTrap ? 2UL : 0));
        }
    }

    [Fact]
    public void Wait_asks_the_two_bits_of_cr0()
    {
        foreach (var (cr0, traps) in new[] { (0UL, false), (2UL, false), (8UL, false), (10UL, true) })
        {
            using var machine = new TestMachine();
            machine.Load(a => a.wait());
            machine.Cpu->ControlRegisters[0] = cr0;
            machine.Run(1).ShouldBe(traps ? 0 : 1);
            if (traps) ShouldTrap(machine, Traps.NoCoprocessor);
        }
    }

    [Fact]
    public void Interrupt_return_takes_everything_from_its_frame()
    {
        using var machine = new TestMachine();
        machine.Load(a => a.iretq());
        var frame = new GuestAddress(Data + 0x100);
        ulong[] words = [TestMachine.CodeStart.Value + 0x40, 0x10, 0x246, Data + 0x800, 0x18];
        for (var i = 0; i < words.Length; i++) machine.Memory.LoadUInt64(frame + (8 * i), words[i]);
        machine.Cpu->Registers[Gpr.Rsp] = frame.Value;
        machine.Run(5).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.InterruptReturn);
        machine.Cpu->Rip.ShouldBe(words[0]);
        Interpreter.ReadFlags(machine.Cpu).ShouldBe(words[2]);
        machine.Cpu->Registers[Gpr.Rsp].ShouldBe(words[3]);
    }

    [Fact]
    public void The_time_stamp_is_the_clock_and_the_instructions_retired_before()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.nop();
            a.nop();
            a.rdtsc();
            a.mov(ebx, eax);
            a.rdtsc();
            a.hlt();
        });
        foreach (var isDirty in new[] { false, true })
        {
            if (isDirty) machine.Code.MakeDirty(TestMachine.CodeStart);
            machine.Cpu->Rip = TestMachine.CodeStart.Value;
            machine.Cpu->Clock = 1000;
            machine.Run(50).ShouldBe(6);
            machine.Cpu->Registers[Gpr.Rbx].ShouldBe(1002UL);
            machine.Cpu->Registers[Gpr.Rax].ShouldBe(1004UL);
        }
    }

    [Fact]
    public void A_long_rep_pauses_with_its_progress_in_the_registers()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.rep.stosb();
            a.hlt();
        });
        machine.Cpu->Registers[Gpr.Rdi] = Data;
        machine.Cpu->Registers[Gpr.Rcx] = 10_000;
        machine.Interpreter.Run(machine.Cpu, 10).ShouldBe(0);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Repeating);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value);
        machine.Cpu->Registers[Gpr.Rcx].ShouldBe(10_000UL - StringElements.SliceIterations);
        machine.Run(10).ShouldBe(2);
        machine.Cpu->Registers[Gpr.Rdi].ShouldBe(Data + 10_000);
    }

    [Fact]
    public void A_rep_that_faults_keeps_what_it_has_done()
    {
        using var machine = new TestMachine();
        machine.Load(a => a.rep.stosq());
        machine.Cpu->Registers[Gpr.Rdi] = Data + TestMachine.DataBytes - 20;
        machine.Cpu->Registers[Gpr.Rcx] = 100;
        machine.Run(1).ShouldBe(0);
        ShouldTrap(machine, 14, errorCode: 2, address: Data + TestMachine.DataBytes);
        machine.Cpu->Registers[Gpr.Rcx].ShouldBe(98UL);
    }

    [Fact]
    public void Segment_overrides_add_the_bases()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.mov(rax, __qword_ptr.gs[rbx]);
            a.mov(__qword_ptr.fs[rbx + 8], rax);
            a.lea(rcx, __qword_ptr.gs[rbx]);
            a.hlt();
        });
        machine.Cpu->GsBase = Data;
        machine.Cpu->FsBase = Data + 0x100;
        machine.Cpu->Registers[Gpr.Rbx] = 0x10;
        machine.Memory.LoadUInt64(new GuestAddress(Data + 0x10), 0x1122334455667788);
        machine.Run(10).ShouldBe(4);
        machine.Memory.ReadUInt64(new GuestAddress(Data + 0x118)).ShouldBe(0x1122334455667788UL);
        machine.Cpu->Registers[Gpr.Rcx].ShouldBe(0x10UL);
    }

    private static void Fault(Action<Assembler> instruction, ulong value, int vector, uint errorCode = 0, ulong? address = null,
        int register = Gpr.Rbx, bool user = false, bool ripIsTarget = false)
    {
        foreach (var isDirty in new[] { false, true })
        {
            using var machine = new TestMachine();
            machine.Load(instruction);
            if (isDirty) machine.Code.MakeDirty(TestMachine.CodeStart);
            machine.Cpu->Registers[register] = value;
            machine.Cpu->UserMode = user ? 1 : 0;
            var before = machine.State();
            machine.Run(100).ShouldBe(ripIsTarget ? 1 : 0);
            ShouldTrap(machine, vector, errorCode, address);
            if (ripIsTarget) machine.Cpu->Rip.ShouldBe(value);
            else machine.State().ShouldBe(before);
        }
    }

    private static void Exit(Action<Assembler> instruction, ExecutionExit exit)
    {
        using var machine = new TestMachine();
        var length = machine.Load(instruction).Length;
        machine.Run(100).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(exit);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + (ulong)length);
    }

    private static void ShouldTrap(TestMachine machine, int vector, uint errorCode = 0, ulong? address = null)
    {
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Trap);
        machine.Cpu->TrapVector.ShouldBe(vector);
        machine.Cpu->TrapErrorCode.ShouldBe(errorCode);
        if (address is { } expected) machine.Cpu->TrapAddress.ShouldBe(expected);
    }
}
