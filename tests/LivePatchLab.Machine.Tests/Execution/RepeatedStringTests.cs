using Iced.Intel;
using LivePatchLab.Linux;

namespace LivePatchLab.Machine.Tests;

/// <summary>A repeated string instruction was fetched once: what it stores over itself, or others store over it, comes after it.</summary>
public sealed unsafe class RepeatedStringTests
{
    private static readonly GuestAddress Code = TestMachine.CodeStart;

    public enum Form
    {
        Block,
        Stopping,
        Dirty,
        Transitions,
    }

    public static TheoryData<string, Form> Cases
    {
        get
        {
            var cases = new TheoryData<string, Form>();
            foreach (var name in Stores.Keys)
                foreach (var form in Enum.GetValues<Form>()) cases.Add(name, form);
            return cases;
        }
    }

    private static readonly Dictionary<string, (Action<Assembler> Write, int Width)> Stores = new()
    {
        ["stosb"] = (a => a.rep.stosb(), 1),
        ["stosw"] = (a => a.rep.stosw(), 2),
        ["stosd"] = (a => a.rep.stosd(), 4),
        ["stosq"] = (a => a.rep.stosq(), 8),
        ["movsb"] = (a => a.rep.movsb(), 1),
        ["movsw"] = (a => a.rep.movsw(), 2),
        ["movsd"] = (a => a.rep.movsd(), 4),
        ["movsq"] = (a => a.rep.movsq(), 8),
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_it_stores_over_itself_is_executed_when_it_is_done(string name, Form form)
    {
        const ulong Nops = 0x9090_9090_9090_9090;
        const int Bytes = 64, NopBytes = 100;
        var (write, width) = Stores[name];
        using var machine = new TestMachine();
        machine.Memory.Map(Code, TestMachine.CodeBytes, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        var bytes = machine.Load(Code + 8, write);
        machine.Code.Poke(Code + 8 + bytes.Length, [.. Enumerable.Repeat((byte)0xf4, NopBytes)]);
        machine.Code.Poke(Code + 200, [.. Enumerable.Repeat((byte)0x90, NopBytes)]);
        if (form == Form.Dirty) machine.Code.MakeDirty(Code);
        var cpu = machine.Cpu;
        cpu->Rip = (Code + 8).Value;
        cpu->Registers[Gpr.Rax] = Nops;
        cpu->Registers[Gpr.Rcx] = (ulong)(Bytes / width);
        cpu->Registers[Gpr.Rdi] = Code.Value;
        cpu->Registers[Gpr.Rsi] = (Code + 200).Value;
        RunToHalt(machine, form);

        cpu->Registers[Gpr.Rcx].ShouldBe(0UL);
        cpu->Registers[Gpr.Rdi].ShouldBe((Code + Bytes).Value);
        cpu->Rip.ShouldBe((Code + Bytes + 1).Value, "HLT behind the NOPs");
        machine.Memory.Read(Code, Bytes).ShouldAllBe(b => b == 0x90);
        machine.Memory.Read(Code + Bytes, 1).ShouldBe([0xf4]);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void What_others_store_over_it_is_executed_when_it_is_done_or_has_been_interrupted(bool isDirty, bool isInterrupted)
    {
        const int Count = (2 * StringElements.SliceIterations) + 100;
        using var machine = new TestMachine();
        machine.Memory.Map(TestMachine.DataStart, 4 * TestMachine.DataBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Load(a =>
        {
            a.rep.stosb();
            a.hlt();
        });
        if (isDirty) machine.Code.MakeDirty(Code);
        var cpu = machine.Cpu;
        cpu->Registers[Gpr.Rax] = 1;
        cpu->Registers[Gpr.Rcx] = Count;
        cpu->Registers[Gpr.Rdi] = TestMachine.DataStart.Value;
        machine.Interpreter.Run(cpu, 100).ShouldBe(0);
        cpu->Exit.ShouldBe(ExecutionExit.Repeating);
        machine.Code.Poke(Code, [0xff, 0xc3]); // inc ebx
        if (isInterrupted) RepeatedString.End(cpu);
        machine.Run(100);

        cpu->Exit.ShouldBe(ExecutionExit.Halt);
        var done = isInterrupted ? StringElements.SliceIterations : Count;
        cpu->Registers[Gpr.Rcx].ShouldBe((ulong)(Count - done));
        cpu->Registers[Gpr.Rbx].ShouldBe(isInterrupted ? 1UL : 0);
        machine.Memory.Read(TestMachine.DataStart, Count).Count(b => b == 1).ShouldBe(done);

        // The same place again: what stands there now.
        cpu->Rip = Code.Value;
        cpu->Registers[Gpr.Rbx] = 0;
        machine.Run(100);
        cpu->Registers[Gpr.Rbx].ShouldBe(1UL);
    }

    [Fact]
    public void A_single_step_ends_it()
    {
        using var machine = new TestMachine();
        machine.Memory.Map(Code, TestMachine.CodeBytes, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        machine.Load(a => a.rep.stosb());
        var cpu = machine.Cpu;
        Interpreter.WriteFlags(cpu, SystemFlag.Trap | 2);
        cpu->Registers[Gpr.Rax] = 0x90;
        cpu->Registers[Gpr.Rcx] = 2;
        cpu->Registers[Gpr.Rdi] = Code.Value;
        machine.Run(1).ShouldBe(0);
        (cpu->Exit, cpu->TrapVector, cpu->Rip, cpu->Registers[Gpr.Rcx]).ShouldBe((ExecutionExit.Trap, Traps.Debug, Code.Value, 1UL));

        // The NOP that it has become, with the STOSB behind it.
        machine.Run(1).ShouldBe(1);
        (cpu->Rip, cpu->Registers[Gpr.Rcx]).ShouldBe(((Code + 1).Value, 1UL));
    }

    /// <summary>An IPI with sync_core() is an interrupt: with somebody looking on and without, in every engine, the CPU comes back to what is there now.</summary>
    [Theory]
    [InlineData(ExecutionEngine.Interpreter, false)]
    [InlineData(ExecutionEngine.Interpreter, true)]
    [InlineData(ExecutionEngine.Auto, false)]
    [InlineData(ExecutionEngine.Auto, true)]
    public void An_interrupt_between_its_iterations_ends_it(ExecutionEngine engine, bool isWatched)
    {
        const int Count = 50 * StringElements.SliceIterations;
        using var machine = new SmpMachine(new() { Cpus = 2, Engine = engine, QuantumCyclesMax = 1 });
        GuestAddress code = TestMachine.CodeStart, data = TestMachine.DataStart;
        machine.Memory.Map(code, 0x1000, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(data, Count + GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(code, TestMachine.Assemble(code.Value, a =>
        {
            a.rep.stosb();
            a.hlt();
        }));
        var cpu = machine.Cpus[1];
        (cpu.Rax, cpu.Rcx, cpu.Rdi) = (1, Count, data.Value);
        cpu.StartGuest(code, data + Count + 0x800);
        cpu.Rflags = 0x202;
        if (isWatched) machine.Events.IpiTaken += _ => { };
        machine.Cpus[0].Start("patcher", Patch());
        machine.Run();

        machine.Fault.ShouldBeNull();
        cpu.Rbx.ShouldBe(1UL);
        var done = Count - (long)cpu.Rcx;
        done.ShouldBeInRange(1, Count - 1);
        machine.Memory.Read(data, Count).Count(b => b == 1).ShouldBe((int)done);

        IEnumerable<KernelStep> Patch()
        {
            yield return new Delay(10);
            yield return new StoreCode(code, (byte[])[0xff, 0xc3], costCycles: 1); // inc ebx
            yield return new CallFunction(DoSyncCore.Function, wait: true);
        }
    }

    private static void RunToHalt(TestMachine machine, Form form)
    {
        var cpu = machine.Cpu;
        for (var acts = 0; acts < 1000; acts++)
        {
            if (form == Form.Transitions) machine.Interpreter.RunOne(cpu);
            else machine.Interpreter.Run(cpu, form == Form.Stopping ? 1 : 1000);
            if (cpu->Exit == ExecutionExit.Halt) return;
            cpu->Exit.ShouldBeOneOf(ExecutionExit.Budget, ExecutionExit.CodeStored, ExecutionExit.Repeating);
        }

        throw new ShouldAssertException($"no end: rip {cpu->Rip:x}, rcx {cpu->Registers[Gpr.Rcx]}");
    }
}
