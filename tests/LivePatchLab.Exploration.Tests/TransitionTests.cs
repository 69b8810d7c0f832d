using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Parts of the machine that only exploration uses: store buffers, interrupts that come in anywhere, NMIs, calls of guest functions.</summary>
public class TransitionTests
{
    [Theory]
    [InlineData(MemoryOrder.SequentiallyConsistent, false)]
    [InlineData(MemoryOrder.TotalStoreOrder, true)]
    [InlineData(MemoryOrder.PartialStoreOrder, true)]
    public void Both_loads_of_store_buffering_see_0_where_stores_are_buffered(MemoryOrder order, bool isSeen)
        => Sees(order, fences: false, Both, (0, 0)).ShouldBe(isSeen);

    [Theory]
    [InlineData(MemoryOrder.TotalStoreOrder)]
    [InlineData(MemoryOrder.PartialStoreOrder)]
    public void A_barrier_between_store_and_load_forbids_that(MemoryOrder order) => Sees(order, fences: true, Both, (0, 0)).ShouldBeFalse();

    [Theory]
    [InlineData(MemoryOrder.TotalStoreOrder, false)]
    [InlineData(MemoryOrder.PartialStoreOrder, true)]
    public void A_message_is_seen_before_its_flag_only_where_stores_overtake_each_other(MemoryOrder order, bool isSeen)
    {
        Sees(order, fences: false, Message, (1, 0)).ShouldBe(isSeen);
        Sees(order, fences: true, Message, (1, 0)).ShouldBeFalse();
    }

    [Fact]
    public void An_nmi_that_comes_in_behind_an_iret_inside_another_overwrites_its_frame()
    {
        Explore(copiesFrame: false).Counterexample!.Violation.Detail.ShouldContain("NMI");
        Explore(copiesFrame: true).Counterexample.ShouldBeNull();

        static ExplorationResult Explore(bool copiesFrame) => ExplorationPlan.Of(() => new NmiScenario(copiesFrame)).Run();
    }

    private static bool Sees(MemoryOrder order, bool fences, Func<Cpu, KernelVariable<int>[], bool, IEnumerable<KernelStep>> program, (ulong, ulong) outcome)
    {
        using var machine = new ScenarioMachine(new VariableScenario(order, fences, program), FetchModel.Ideal);
        var search = new DepthFirst().Begin(new(1));
        for (var i = 0L; search.TryBegin(i); i++)
        {
            machine.Execute(search, records: false);
            if ((machine.Machine.Cpus[0].Registers[0], machine.Machine.Cpus[1].Registers[0]) == outcome) return true;
        }

        return false;
    }

    private static IEnumerable<KernelStep> Both(Cpu cpu, KernelVariable<int>[] variables, bool fences)
    {
        yield return variables[cpu.Id.Index].Store(1);
        if (fences) yield return Fence.Full;
        var load = variables[1 - cpu.Id.Index].Load();
        yield return load;
        cpu.Registers[0] = (ulong)load.Value;
    }

    /// <summary>CPU 1 writes the data, then the flag; CPU 0 reads the flag into its own register, then the data into CPU 1's.</summary>
    private static IEnumerable<KernelStep> Message(Cpu cpu, KernelVariable<int>[] variables, bool fences)
    {
        if (cpu.Id.Index == 1)
        {
            yield return variables[0].Store(1);
            if (fences) yield return Fence.Write;
            yield return variables[1].Store(1);
            yield break;
        }

        var flag = variables[1].Load();
        yield return flag;
        yield return Fence.Read;
        var data = variables[0].Load();
        yield return data;
        cpu.Registers[0] = (ulong)flag.Value;
        cpu.Machine.Cpus[1].Registers[0] = (ulong)data.Value;
    }

    private sealed class VariableScenario(MemoryOrder order, bool fences, Func<Cpu, KernelVariable<int>[], bool, IEnumerable<KernelStep>> program) : Scenario
    {
        public override string Name => "variables";

        public override MemoryOrder MemoryOrder => order;

        public override Invariants CheckedUnder(FetchModel model) => Invariants.None;

        public override void LayOut(SmpMachine machine)
        {
        }

        public override void Begin(ScenarioRun run)
        {
            var variables = new[] { new KernelVariable<int>("x", 0), new KernelVariable<int>("y", 0) };
            foreach (var cpu in run.Machine.Cpus) cpu.Start("program", program(cpu, variables, fences));
        }
    }

    /// <summary>An NMI's handler calls a function in which an INT3 stands, whose handler's IRET lets a second NMI in.</summary>
    private sealed class NmiScenario(bool copiesFrame) : Scenario
    {
        private static readonly GuestAddress Code = new(0xffffffff81000000), Stack = new(0xffffffff82000000);

        public override string Name => "nested NMI";

        public override int Cpus => 1;

        public override Invariants CheckedUnder(FetchModel model) => Invariants.None;

        public override void LayOut(SmpMachine machine)
        {
            machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
            machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
            machine.Memory.Load(Code, [0x90, 0x0f, 0x05]); // nop; syscall
            machine.Memory.Load(Code + 16, [0xcc, 0xc3]); // int3; ret
            machine.Memory.Load(Code + 32, [0xf4]); // hlt
            machine.GuestCallReturn = Code + 32;
            machine.SystemCall = cpu => cpu.StopGuest();
        }

        public override void Begin(ScenarioRun run)
        {
            run.Kernel.RegisterInt3Handler(Consume);
            var cpu = run.Machine.Cpus[0];
            cpu.StartGuest(Code, Stack + 2048);
            cpu.ArmInterrupt("NMI 1", Handler, isNmi: true);
            cpu.ArmInterrupt("NMI 2", Handler, isNmi: true);
        }

        private IEnumerable<KernelStep> Handler(Cpu cpu)
        {
            if (copiesFrame) cpu.KeepNmiFrame();
            yield return new CallGuest(Code + 16);
        }

        private static IEnumerable<KernelStep> Consume(Cpu cpu, TrapFrame regs)
        {
            regs.Consumed = true;
            yield return Fence.Read;
        }
    }
}
