namespace LivePatchLab.Machine.Tests;

/// <summary>Translated code reaches memory through a register of the host's thread, which machines on one thread have in turns.</summary>
public sealed class NestedRunTests
{
    private const ulong Rounds = 40;

    private static readonly GuestAddress Code = new(0x401000), Data = new(0x500000);

    [Fact]
    public void A_machine_that_ran_another_within_a_system_call_goes_on_in_its_own_memory()
    {
        foreach (var engine in Engines.Here)
        {
            using var outer = Machine(engine);
            using var inner = Machine(engine);
            outer.SystemCall = _ => inner.Run(clockLimitCycles: inner.ClockCycles + 40).ShouldBeOneOf(MachineStop.ClockLimit, MachineStop.Idle);
            outer.Run().ShouldBe(MachineStop.Idle, engine.ToString());
            inner.Run().ShouldBe(MachineStop.Idle, engine.ToString());
            outer.Memory.ReadUInt64(Data).ShouldBe(Rounds, engine.ToString());
            inner.Memory.ReadUInt64(Data).ShouldBe(Rounds, engine.ToString());
        }
    }

    private static SmpMachine Machine(ExecutionEngine engine)
    {
        var machine = new SmpMachine(new() { Cpus = 1, Engine = engine });
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(Data, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);

        // again: inc qword [rdi]; syscall; dec edx; jnz again; hlt
        machine.Memory.Load(Code, [0x48, 0xff, 0x07, 0x0f, 0x05, 0xff, 0xca, 0x75, 0xf7, 0xf4]);
        var cpu = machine.Cpus[0];
        cpu.Registers[7] = Data.Value;
        cpu.Registers[2] = Rounds;
        cpu.StartGuest(Code, Data + GuestMemory.PageBytes);
        machine.SystemCall = _ => { };
        return machine;
    }
}
