using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments.Tests;

/// <summary>Programs that are stepped and stopped are the programs that run through.</summary>
public sealed class ProgramTests
{
    [Fact]
    public void A_program_that_is_stopped_on_its_way_ends_in_the_same_state_as_one_that_runs_through()
    {
        using var straight = Locks(cpus: 3);
        straight.Run().Text.ShouldBe("ended with status 0");
        using var stopped = Locks(cpus: 3);
        var stops = 0;
        stopped.Break("spin_lock");
        stopped.Break("ticket_unlock+4");
        for (var stop = stopped.Run(); stopped.End is null; stop = stops % 3 == 0 ? stopped.Step(7) : stopped.Run())
        {
            stops++;
            stop.Reason.ShouldBeOneOf(MachineStop.Breakpoint, MachineStop.Stepped);
        }

        stops.ShouldBeGreaterThan(60, "20 rounds on 3 CPUs");
        stopped.Hash().ShouldBe(straight.Hash());
        (stopped.Output, stopped.ExitStatus).ShouldBe((straight.Output, 0));
        straight.Output.ShouldBe("total 180\n");
    }

    [Fact]
    public void The_comparison_of_hashes_tells_another_quantum_and_another_order_of_steps()
    {
        using var straight = Locks(cpus: 3);
        using var again = Locks(cpus: 3);
        using var otherQuantum = Program.Load(Guest("locks"), cpus: 3, quantum: 10, arguments: ["20"]);
        using var otherOrder = Locks(cpus: 3);
        otherOrder.Step(otherOrder.Cpus[2]);
        foreach (var program in new[] { straight, again, otherQuantum, otherOrder }) program.Run().Text.ShouldBe("ended with status 0");
        again.Hash().ShouldBe(straight.Hash());
        otherQuantum.Hash().ShouldNotBe(straight.Hash());
        otherOrder.Hash().ShouldNotBe(straight.Hash());
    }

    [Fact]
    public void A_breakpoint_stops_before_the_instruction_and_leaves_no_byte_behind()
    {
        using var program = Locks(cpus: 1);
        var before = program.Machine.Memory.Read(program.Cpus[0].Eval("spin_lock"), 16);
        program.Break("spin_lock").Name.ShouldBe("spin_lock");
        var stop = program.Run();
        (stop.Reason, stop.Cpu, stop.Rip).ShouldBe((MachineStop.Breakpoint, new CpuId(0), program.Image.Symbols["spin_lock"]));
        program.Cpus[0].Rip.ShouldBe(program.Image.Symbols["spin_lock"]!.Value);
        program.Machine.Memory.Read(stop.Rip!.Value, 16).ShouldBe(before);
        var retired = program.Cpus[0].RetiredInstructions;
        program.Step().Rip.ShouldNotBe(stop.Rip, "the instruction at the breakpoint itself");
        program.Cpus[0].RetiredInstructions.ShouldBe(retired + 1);
        program.Run().Rip.ShouldBe(stop.Rip, "the next round");
        program.RemoveBreak("spin_lock").ShouldBeTrue();
        program.RemoveBreak("spin_lock").ShouldBeFalse();
        program.Run().Text.ShouldBe("ended with status 0");
        program.Run().Text.ShouldBe("ended with status 0", "again: nothing is left to run");
    }

    [Fact]
    public void Every_cpu_stops_at_a_breakpoint_of_its_own()
    {
        using var program = Locks(cpus: 3);
        program.Break("guest_main");
        Enumerable.Range(0, 3).Select(_ => program.Run().Cpu!.Value.Index).Order().ShouldBe([0, 1, 2]);
        program.Run().Text.ShouldBe("ended with status 0");
    }

    [Fact]
    public void Steps_of_one_cpu_leave_the_others_where_they_are()
    {
        using var program = Locks(cpus: 2);
        for (var i = 1; i <= 5; i++)
        {
            program.Step(program.Cpus[1]).Cpu.ShouldBe(new CpuId(1));
            program.Cpus.Select(cpu => cpu.RetiredInstructions).ShouldBe([0, i]);
        }

        program.Step(100).Reason.ShouldBe(MachineStop.Stepped);
        program.Cpus.Sum(cpu => cpu.RetiredInstructions).ShouldBe(105);
        program.Run().Text.ShouldBe("ended with status 0");
        program.Output.ShouldBe("total 120\n");
    }

    [Fact]
    public void Registers_are_read_and_set_by_name()
    {
        using var program = Locks(cpus: 1);
        var cpu = program.Cpus[0];
        foreach (var (name, i) in RegisterNames.All.Take(16).Select((name, i) => (name, i)))
        {
            cpu[name] = (ulong)(100 + i);
            cpu.Registers[i].ShouldBe((ulong)(100 + i), name);
        }

        (cpu.Rax, cpu.Rcx, cpu.Rdx, cpu.Rbx, cpu.Rsp, cpu.Rbp, cpu.Rsi, cpu.Rdi).ShouldBe((100UL, 101UL, 102UL, 103UL, 104UL, 105UL, 106UL, 107UL));
        (cpu.R8, cpu.R9, cpu.R10, cpu.R11, cpu.R12, cpu.R13, cpu.R14, cpu.R15).ShouldBe((108UL, 109UL, 110UL, 111UL, 112UL, 113UL, 114UL, 115UL));
        cpu["RIP"] = 0x401010;
        cpu.Rip.ShouldBe(new GuestAddress(0x401010));
        cpu["rflags"] = 0xc5;
        RegisterNames.FlagsOf(cpu.Rflags).ShouldStartWith("CF PF ZF SF");
        Should.Throw<ArgumentException>(() => cpu["eip"]).Message.ShouldStartWith("there is no register 'eip'");
    }

    [Fact]
    public void A_fault_says_where_it_is_and_what_was_tried()
    {
        using var program = Program.Load(Guest("faults"), arguments: ["pf"]);
        var stop = program.Run();
        stop.Reason.ShouldBe(MachineStop.Fault);
        stop.Text.ShouldEndWith($"CPU0: #PF at {stop.Rip}, page_fault+0x5: c7 04 25 10 00 00 00 01 00 00 00  movl $1,0x10; user write to 10, which is not mapped (error code 0x6) (SIGSEGV)");
        program.ExitStatus.ShouldBe(139);
        using var opcode = Program.Load(Guest("faults"), arguments: ["ud"]);
        opcode.Run().Text.ShouldEndWith(": 0f 0b  ud2 (SIGILL)");
        using var lost = Locks(cpus: 1);
        lost.Cpus[0].Rip = new(0x10);
        lost.Run().Text.ShouldEndWith("#PF at 10: nothing is mapped there; user instruction fetch from 10, which is not mapped (error code 0x14) (SIGSEGV)");
        using var readOnly = Locks(cpus: 1);
        readOnly.Cpus[0].Rip = new(readOnly.Image.Symbols["under_spinlock"]!.Value.Value);
        readOnly.Run().Text.ShouldContain("user instruction fetch from");
        readOnly.End!.Message!.ShouldContain("which the page does not permit (error code 0x15)");
    }

    [Fact]
    public void The_guests_that_travel_with_the_lab_are_those_of_its_folder()
    {
        EmbeddedGuests.Names.ShouldBe(["faults", "hello", "kernels", "locks", "sites"]);
        foreach (var name in EmbeddedGuests.Names)
        {
            ProgramImage embedded = EmbeddedGuests.Open(name), file = EmbeddedGuests.Open(Guest(name));
            (embedded.Source, file.Source, embedded.Entry).ShouldBe((name, Guest(name), file.Entry));
            embedded.Segments.Select(segment => segment.Content.ToArray()).ShouldBe(file.Segments.Select(segment => segment.Content.ToArray()));
        }

        Should.Throw<BadInputException>(() => EmbeddedGuests.Open("lock")).Message.ShouldStartWith("lock: no such file");
    }

    [Fact]
    public void What_cannot_be_is_one_line()
    {
        Should.Throw<BadInputException>(() => Program.Load("/nowhere/locks")).Message.ShouldStartWith("/nowhere/locks: no such file");
        Should.Throw<BadInputException>(() => Program.Load(Guest("locks"), cpus: 0)).Message.ShouldBe("0 CPUs: a machine has 1 to 1024 CPUs");
        Should.Throw<BadInputException>(() => Program.Load(Guest("locks"), quantum: 0)).Message.ShouldBe("a quantum of 0 cycles: it has at least 1");
        using var program = Locks(cpus: 2);
        using var other = Locks(cpus: 1);
        Should.Throw<BadInputException>(() => program.Step(0)).Message.ShouldBe("0 instructions: a step has at least 1");
        Should.Throw<BadInputException>(() => program.Step(other.Cpus[0])).Message.ShouldBe("CPU0 belongs to another machine");
        Should.Throw<BadInputException>(() => program.Break("increment")).Message.ShouldBe("\"increment\", column 1: 'increment' is neither a register nor a symbol here");
        Should.Throw<BadInputException>(() => program.Break("0x10")).Message.ShouldBe("\"0x10\" is 10, and no code is there");
        Should.Throw<BadInputException>(() => program.Break("under_spinlock")).Message.ShouldEndWith(", and no code is there");
        program.Breakpoints.ShouldBeEmpty();
    }

    [Fact]
    public void A_kernels_text_has_breakpoints_too_and_a_patch_does_not_stop_at_them()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 4, Costs = CostPreset.Unit, Workload = Workload.Running });
        lab.Machine.Debugger.Break("function_2").Name.ShouldBe("function_2");
        var stop = lab.Machine.Debugger.Run();
        stop.Rip.ShouldBe(lab.Text.Functions[2]);
        lab.Machine.Debugger.Step(lab.Machine.Cpus.Single(cpu => cpu.Id == stop.Cpu)).Reason.ShouldBe(MachineStop.Stepped);
        Patch.All().With(Patching.Protocols.TextPokeBpList).Run(lab).Violation.ShouldBeNull();
        lab.Machine.Debugger.RemoveAll();
        lab.Machine.Debugger.RunUntil("ftrace_caller").Rip.ShouldBe(lab.Text.FtraceCaller);
        using var idle = new LabMachine(lab.Options with { Workload = Workload.Idle });
        Should.Throw<ArgumentException>(() => idle.Machine.Debugger.Step(idle.Machine.Cpus[1])).Message.ShouldBe("CPU1 executes no guest code now, so it has no instruction to step");
        idle.Machine.Debugger.Step().Reason.ShouldBe(MachineStop.Idle);
    }

    internal static string Guest(string name) => Path.Combine(Linux.Tests.LabFolder.Root, "data", "guests", name);

    internal static Program Locks(int cpus) => Program.Load(Guest("locks"), cpus, arguments: ["20"]);
}
