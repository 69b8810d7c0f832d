using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>RFLAGS.TF traps behind every instruction, and STI and MOV SS hold interrupts off for one, in every form of execution.</summary>
public unsafe class SingleStepTests
{
    private const ulong Trap = SystemFlag.Trap, Interrupt = SystemFlag.Interrupt;

    private static readonly ulong Data = TestMachine.DataStart.Value;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Each_instruction_traps_behind_itself(bool isDirty)
    {
        using var machine = new TestMachine();
        var length = machine.Load(a =>
        {
            a.cmp(eax, 1);
            a.jne(TestMachine.CodeStart.Value + 0x20);
        }).Length;
        machine.Load(TestMachine.CodeStart + 0x20, a => a.inc(rbx));
        if (isDirty) machine.Code.MakeDirty(TestMachine.CodeStart);
        Interpreter.WriteFlags(machine.Cpu, Trap);
        ulong[] stops = [TestMachine.CodeStart.Value + 5, TestMachine.CodeStart.Value + 0x20, TestMachine.CodeStart.Value + 0x23];
        length.ShouldBe(7);
        foreach (var stop in stops)
        {
            machine.Run(100).ShouldBe(1);
            ShouldTrap(machine, Traps.Debug);
            machine.Cpu->Rip.ShouldBe(stop);
            machine.Cpu->DebugRegisters[6].ShouldBe(0x4000UL);
            machine.Cpu->DebugRegisters[6] = 0;
        }

        machine.Cpu->Registers[Gpr.Rbx].ShouldBe(1UL);
    }

    [Fact]
    public void Popf_that_sets_the_flag_does_not_trap_and_one_that_clears_it_does()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.push(0x102);
            a.popfq();
            a.push(2);
            a.popfq();
            a.nop();
            a.hlt();
        });
        machine.Run(100).ShouldBe(3);
        ShouldTrap(machine, Traps.Debug);
        machine.Run(100).ShouldBe(1);
        ShouldTrap(machine, Traps.Debug);
        machine.Run(100).ShouldBe(2);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Halt);
    }

    [Fact]
    public void A_fault_comes_instead_of_the_trap_and_int3_has_its_own()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.ud2();
            a.int3();
        });
        Interpreter.WriteFlags(machine.Cpu, Trap);
        machine.Run(10).ShouldBe(0);
        ShouldTrap(machine, Traps.InvalidOpcode);
        machine.Cpu->Rip += 2;
        machine.Run(10).ShouldBe(1);
        ShouldTrap(machine, Traps.Breakpoint);
    }

    [Fact]
    public void A_repeated_string_instruction_traps_at_each_iteration()
    {
        foreach (var to in new[] { Data, Data + GuestMemory.PageBytes - 4 })
        {
            using var machine = new TestMachine();
            machine.Load(a => a.rep.stosq());
            machine.Cpu->Registers[Gpr.Rdi] = to;
            machine.Cpu->Registers[Gpr.Rcx] = 3;
            Interpreter.WriteFlags(machine.Cpu, Trap);
            foreach (var left in new ulong[] { 2, 1, 0 })
            {
                machine.Interpreter.Run(machine.Cpu, 10).ShouldBe(left == 0 ? 1 : 0);
                ShouldTrap(machine, Traps.Debug);
                machine.Cpu->Registers[Gpr.Rcx].ShouldBe(left);
                machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + (left == 0 ? 3UL : 0));
            }

            machine.Cpu->Registers[Gpr.Rdi].ShouldBe(to + 24);
        }
    }

    [Fact]
    public void What_the_machine_must_be_told_of_first_traps_when_the_cpu_goes_on()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.cpuid();
            a.nop();
        });
        Interpreter.WriteFlags(machine.Cpu, Trap);
        machine.Run(10).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Serialised);
        machine.Run(10).ShouldBe(0);
        ShouldTrap(machine, Traps.Debug);
        machine.Run(10).ShouldBe(1);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + 3);
    }

    [Fact]
    public void Rdtsc_counts_the_same_under_single_stepping()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.sti();
            a.rdtsc();
            a.hlt();
        });
        machine.Cpu->Clock = 1000;
        machine.Run(10).ShouldBe(2);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(1001UL);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Interrupts_come_on_one_instruction_behind_sti(bool isDirty)
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.sti();
            a.pushfq();
            a.nop();
            a.hlt();
        });
        if (isDirty) machine.Code.MakeDirty(TestMachine.CodeStart);
        machine.Run(1).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Budget);
        (machine.Cpu->SystemFlags & Interrupt).ShouldBe(0u, "to the machine");
        (Interpreter.ReadFlags(machine.Cpu) & Interrupt).ShouldBe(Interrupt, "to the guest");
        machine.Run(100).ShouldBe(1);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.InterruptsEnabled);
        (machine.Cpu->SystemFlags & Interrupt).ShouldBe(SystemFlag.Interrupt);
        (machine.Memory.ReadUInt64(new GuestAddress(machine.Cpu->Registers[Gpr.Rsp])) & Interrupt).ShouldBe(Interrupt);
        machine.Run(100).ShouldBe(2);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Halt);
    }

    [Fact]
    public void Sti_and_hlt_halt_with_interrupts_on_and_sti_and_cli_leave_them_off()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.sti();
            a.cli();
            a.sti();
            a.hlt();
        });
        machine.Run(100).ShouldBe(4);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Halt);
        (machine.Cpu->SystemFlags & Interrupt).ShouldBe(SystemFlag.Interrupt);

        using var off = new TestMachine();
        off.Load(a =>
        {
            a.sti();
            a.cli();
            a.hlt();
        });
        off.Run(100).ShouldBe(3);
        (Interpreter.ReadFlags(off.Cpu) & Interrupt).ShouldBe(0UL);
    }

    [Fact]
    public void A_fault_in_the_shadow_ends_it()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.sti();
            a.ud2();
        });
        machine.Run(100).ShouldBe(1);
        ShouldTrap(machine, Traps.InvalidOpcode);
        (machine.Cpu->SystemFlags & Interrupt).ShouldBe(SystemFlag.Interrupt);
    }

    [Fact]
    public void Mov_ss_loses_its_trap_and_holds_interrupts_off()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.mov(ss, ecx);
            a.nop();
            a.nop();
        });
        machine.Cpu->Registers[Gpr.Rcx] = 0x18;
        Interpreter.WriteFlags(machine.Cpu, Trap | Interrupt);
        machine.Run(100).ShouldBe(2);
        ShouldTrap(machine, Traps.Debug);
        machine.Cpu->Rip.ShouldBe(TestMachine.CodeStart.Value + 3);

        using var held = new TestMachine();
        held.Load(a => a.mov(ss, ecx));
        held.Cpu->Registers[Gpr.Rcx] = 0x18;
        Interpreter.WriteFlags(held.Cpu, Interrupt);
        held.Run(1).ShouldBe(1);
        (held.Cpu->SystemFlags & Interrupt).ShouldBe(0u);
    }

    [Fact]
    public void An_ipi_does_not_come_between_sti_and_ret()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            using var machine = new SmpMachine(new MachineOptions { Cpus = 2, QuantumCyclesMax = 1, Choices = new SeededChoices(new Seed(seed)) });
            machine.Memory.Map(TestMachine.CodeStart, 0x1000, PagePermissions.Read | PagePermissions.Execute);
            var code = TestMachine.Assemble(TestMachine.CodeStart.Value, a =>
            {
                var loop = a.CreateLabel();
                a.Label(ref loop);
                a.cli();
                a.nop();
                a.sti();
                a.inc(rax);
                a.jmp(loop);
            });
            machine.Memory.Load(TestMachine.CodeStart, code);
            var probe = new RipProbe();
            machine.Cpus[1].StartGuest(TestMachine.CodeStart, default);
            var routine = machine.Cpus[0].Start("caller", [.. Enumerable.Range(0, 50).SelectMany(i => (KernelStep[])[new Delay(1 + (i % 7)), new CallFunction(probe, wait: true)])]);
            machine.Run(routine).ShouldBe(MachineStop.Completed);
            probe.Rips.Count.ShouldBe(50);
            probe.Rips.ShouldAllBe(rip => rip == TestMachine.CodeStart || rip == TestMachine.CodeStart + 6, $"seed {seed}");
        }
    }

    /// <summary>A task on a CPU whose guest has just executed STI must be able to take, and wait for, IPIs.</summary>
    [Fact]
    public void A_task_started_in_the_shadow_of_sti_takes_interrupts()
    {
        using var machine = new SmpMachine(new MachineOptions { Cpus = 2 });
        machine.Memory.Map(TestMachine.CodeStart, 0x1000, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(TestMachine.CodeStart, TestMachine.Assemble(TestMachine.CodeStart.Value, a =>
        {
            a.cli();
            a.sti();
            a.hlt();
        }));
        machine.Cpus[1].StartGuest(TestMachine.CodeStart, default);
        machine.Run(clockLimitCycles: 2);
        machine.Cpus[1].Rip.ShouldBe(TestMachine.CodeStart + 2);
        machine.Cpus[1].InterruptsEnabled.ShouldBeFalse();
        machine.Cpus[1].Start("busy", [new Delay(100_000)]);
        var probe = new RipProbe();
        machine.Run(machine.Cpus[0].Start("caller", [new CallFunction(probe, wait: true)])).ShouldBe(MachineStop.Completed);
        probe.Rips.Count.ShouldBe(1);
    }

    private sealed class RipProbe : IpiFunction
    {
        public List<GuestAddress> Rips { get; } = [];

        public override string Name => "probe";

        public override bool IsIndivisible => true;

        protected internal override long Call(Cpu cpu)
        {
            Rips.Add(cpu.Rip);
            return 1;
        }
    }

    private static void ShouldTrap(TestMachine machine, int vector)
    {
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Trap);
        machine.Cpu->TrapVector.ShouldBe(vector);
    }
}
