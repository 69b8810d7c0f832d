namespace LivePatchLab.Machine.Tests;

public sealed class RoutineTests
{
    private static readonly CostModel Costs = CostModel.Unit with
    {
        IpiSend = new(10, "test"),
        IpiLatency = new(100, "test"),
        IdleExit = new(50, "test"),
        InterruptEntry = new(20, "test"),
        InterruptExit = new(5, "test"),
        AcknowledgeRead = new(7, "test"),
    };

    [Fact]
    public void Steps_cost_what_the_model_says()
    {
        using var machine = Make(1);
        var routine = machine.Cpus[0].Start("test", [new Delay(100), Fence.Full, SyncCore.Here]);
        machine.Run(routine).ShouldBe(MachineStop.Completed);
        routine.CompletedClockCycles.ShouldBe(102);
    }

    [Fact]
    public void Straight_steps_called_as_an_array_are_the_same_steps_one_by_one()
    {
        string Run(Func<KernelStep[], IEnumerable<KernelStep>> call)
        {
            using var machine = Make(2);
            var seen = new List<string>();
            machine.Events.Stepped += e => seen.Add($"{e.ClockCycles}: {e.Step} of {e.Routine.Name}");
            var variable = new KernelVariable<int>("v", 0);
            var ipi = new CallFunction(new Probe(handlerCycles: 30), wait: true);

            IEnumerable<KernelStep> Steps()
            {
                for (var i = 1; i <= 3; i++)
                {
                    foreach (var step in call([new Delay(i), variable.Store(i), ipi, Fence.Full])) yield return step;
                    yield return new Delay(variable.Value);
                }
            }

            var routine = machine.Cpus[0].Start("test", Steps());
            machine.Run(routine).ShouldBe(MachineStop.Completed);
            seen.Count.ShouldBe(15);
            return string.Join('\n', seen) + routine.CompletedClockCycles;
        }

        var oneByOne = Run(steps => steps);
        Run(steps => [KernelStep.Call(steps)]).ShouldBe(oneByOne, "an array");
        Run(steps => [KernelStep.Call(steps.Select(step => step))]).ShouldBe(oneByOne, "an iterator");
        Run(steps => [KernelStep.Call([KernelStep.Call(steps[..1]), KernelStep.Call([]), .. steps[1..]])]).ShouldBe(oneByOne, "an array with calls in it");
    }

    [Fact]
    public void A_call_of_straight_steps_may_be_yielded_again()
    {
        using var machine = Make(1);
        var variable = new KernelVariable<int>("v", 0);
        var store = variable.Store(0);
        var call = KernelStep.Call([store, new Delay(10)]);
        var values = new List<int>();

        IEnumerable<KernelStep> Steps()
        {
            for (var i = 1; i <= 4; i++)
            {
                store.Value = i;
                yield return call;
                values.Add(variable.Value);
            }
        }

        var routine = machine.Cpus[0].Start("test", Steps());
        machine.Run(routine).ShouldBe(MachineStop.Completed);
        values.ShouldBe([1, 2, 3, 4]);
        routine.CurrentStep.ShouldBeOfType<Delay>("the step that was done last");
        routine.CompletedClockCycles.ShouldBe(4 * (1 + 10));
    }

    [Theory]
    [InlineData(SerialisingEvents.Architectural)]
    [InlineData(SerialisingEvents.InterruptReturn)]
    [InlineData(SerialisingEvents.Instruction)]
    [InlineData(SerialisingEvents.Architectural | SerialisingEvents.InterruptDelivery)]
    [InlineData(SerialisingEvents.None)]
    public void A_halted_cpu_that_nobody_watches_is_synchronised_as_one_that_is_watched(SerialisingEvents serialising)
    {
        (long[] Clocks, string Account, int[] Visible) Run(bool isWatched)
        {
            using var machine = new SmpMachine(new() { Cpus = 3, Costs = Costs, Fetch = FetchModel.SdmWorst with { Serialising = serialising } });
            var code = new GuestAddress(0x400000);
            machine.Memory.Map(code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
            if (isWatched) machine.Events.HandlerLeft += _ => { };
            machine.Run(machine.Cpus[0].Start("test", [new StoreCode(code, new byte[] { 0xcc }, 1), new CallFunction(new Sync(), wait: true), new StoreCode(code, new byte[] { 0xc3 }, 1)]));
            var account = string.Join(' ', machine.Accounts.Phases[0].Cpus.Select(cpu => $"{cpu.IpisSent} {cpu.IpisTaken} {cpu.WaitCycles} {cpu.HandlerCycles}"));
            return ([.. machine.Cpus.Select(cpu => cpu.ClockCycles)], account, [.. machine.Cpus.Select(cpu => (int)machine.OldestVisibleCode(cpu.Id, code, 1)[0])]);
        }

        var (watched, alone) = (Run(isWatched: true), Run(isWatched: false));
        alone.Clocks.ShouldBe(watched.Clocks);
        alone.Account.ShouldBe(watched.Account);
        alone.Visible.ShouldBe(watched.Visible);
        alone.Visible[1].ShouldBe(serialising == SerialisingEvents.None ? 0 : 0xcc, "the first store has been waited for, where anything serialises");
    }

    [Fact]
    public void An_ipi_to_idle_cpus_costs_sending_latency_waking_handler_and_the_reading_of_each_answer()
    {
        using var machine = Make(3);
        var function = new Probe(handlerCycles: 30);
        var routine = machine.Cpus[0].Start("test", [new CallFunction(function, wait: true)]);
        machine.Run(routine).ShouldBe(MachineStop.Completed);

        // The second IPI leaves at 20, lands at 120, wakes its CPU until 170, enters until 190, runs until 220; then two answers.
        routine.CompletedClockCycles.ShouldBe(220 + (2 * 7));
        function.RanOn.ShouldBe([1, 2]);
        machine.Accounts.Phases[0].Cpus[0].WaitCycles.ShouldBe(200);
        machine.Accounts.Phases[0].Cpus[1].IpisTaken.ShouldBe(1);
        machine.Accounts.Phases[0].Cpus[1].HandlerCycles.ShouldBe(20 + 30 + 5);
        machine.Cpus[1].ClockCycles.ShouldBe(110 + 50 + 20 + 30 + 5);
    }

    [Fact]
    public void Taking_an_ipi_in_its_turn_gives_the_clocks_of_taking_it_at_once()
    {
        // A divisible function goes the long way through the queue; it must cost the same.
        using var machine = Make(3);
        var routine = machine.Cpus[0].Start("test", [new CallFunction(new DivisibleProbe(30), wait: true)]);
        machine.Run(routine).ShouldBe(MachineStop.Completed);
        routine.CompletedClockCycles.ShouldBe(220 + (2 * 7));
        machine.Run();
        machine.Cpus[1].ClockCycles.ShouldBe(110 + 50 + 20 + 30 + 5);
    }

    [Fact]
    public void An_ipi_waits_until_interrupts_are_on()
    {
        using var machine = Make(2);
        var function = new Probe(handlerCycles: 0);
        machine.Cpus[1].Start("busy", [InterruptFlag.Off, new Delay(5_000), InterruptFlag.On, new Delay(1_000)]);
        var routine = machine.Cpus[0].Start("test", [new CallFunction(function, wait: true)]);
        machine.Run(routine).ShouldBe(MachineStop.Completed);
        routine.CompletedClockCycles.ShouldBeInRange(5_000, 5_100);
        function.RanOn.ShouldBe([1]);
    }

    [Fact]
    public void Two_cpus_that_call_each_other_with_interrupts_off_deadlock()
    {
        using var machine = Make(2);
        IEnumerable<KernelStep> Caller() => [InterruptFlag.Off, new Delay(10), new CallFunction(new Probe(0), wait: true)];
        var first = machine.Cpus[0].Start("A", Caller());
        machine.Cpus[1].Start("B", Caller());
        machine.Run(first).ShouldBe(MachineStop.Deadlock);
        machine.Waiting().ShouldBe([
            "CPU0 (interrupts off): A, IPI to all others: probe, wait",
            "CPU1 (interrupts off): B, IPI to all others: probe, wait",
        ]);
    }

    [Fact]
    public void Two_cpus_that_call_each_other_with_interrupts_on_do_not()
    {
        using var machine = Make(2);
        var first = machine.Cpus[0].Start("A", [new CallFunction(new Probe(0), wait: true)]);
        var second = machine.Cpus[1].Start("B", [new CallFunction(new Probe(0), wait: true)]);
        machine.Run(first).ShouldBe(MachineStop.Completed);
        machine.Run(second).ShouldBe(MachineStop.Completed);
    }

    [Fact]
    public void A_lock_is_held_by_one_at_a_time_and_granted_in_the_order_of_asking()
    {
        using var machine = Make(4);
        var mutex = new KernelLock("text_mutex");
        var order = new List<int>();
        var inside = 0;
        IEnumerable<KernelStep> Holder(int cpu)
        {
            yield return new Delay(cpu * 10);
            yield return mutex.Acquire();
            (++inside).ShouldBe(1);
            order.Add(cpu);
            yield return new Delay(1_000);
            inside--;
            yield return mutex.Release();
        }

        foreach (var cpu in machine.Cpus) cpu.Start("holder", Holder(cpu.Id.Index));
        machine.Run().ShouldBe(MachineStop.Idle);
        order.ShouldBe([0, 1, 2, 3]);
        mutex.Owner.ShouldBeNull();
    }

    [Fact]
    public void A_lock_is_given_up_by_its_owner_only()
    {
        using var machine = Make(1);
        var mutex = new KernelLock("text_mutex");
        machine.Cpus[0].Start("wrong", [mutex.Release()]);
        Should.Throw<InvalidOperationException>(() => machine.Run()).Message.ShouldContain("nobody");
    }

    [Fact]
    public void Spinning_ends_when_the_variable_holds_what_is_wanted()
    {
        using var machine = Make(2);
        var ready = new KernelVariable<bool>("ready", false);
        var spinner = machine.Cpus[1].Start("spin", [ready.SpinUntil("is true", r => r)]);
        machine.Cpus[0].Start("store", [new Delay(500), ready.Store(true)]);
        machine.Run().ShouldBe(MachineStop.Idle);
        spinner.CompletedClockCycles.ShouldBeGreaterThan(500);
    }

    [Fact]
    public void A_run_stops_at_its_clock_limit_and_goes_on_from_there()
    {
        using var machine = Make(1);
        IEnumerable<KernelStep> Forever()
        {
            while (true) yield return new Delay(10);
        }

        machine.Cpus[0].Start("forever", Forever());
        machine.Run(clockLimitCycles: 1_000).ShouldBe(MachineStop.ClockLimit);
        machine.Cpus[0].ClockCycles.ShouldBe(1_000);
        machine.Run(clockLimitCycles: 2_000).ShouldBe(MachineStop.ClockLimit);
        machine.Cpus[0].ClockCycles.ShouldBe(2_000);
    }

    [Fact]
    public void A_run_can_be_cancelled_though_only_one_cpu_has_work()
    {
        using var machine = Make(1);
        using var cancellation = new CancellationTokenSource();
        IEnumerable<KernelStep> Forever()
        {
            for (var i = 0; ; i++)
            {
                if (i == 100) cancellation.Cancel();
                yield return new Delay(1_000_000);
            }
        }

        machine.Cpus[0].Start("forever", Forever());
        Should.Throw<OperationCanceledException>(() => machine.Run(cancellation: cancellation.Token));
    }

    [Fact]
    public void A_routine_that_throws_leaves_a_machine_that_can_be_run_on()
    {
        using var machine = Make(2);
        static IEnumerable<KernelStep> Wrong()
        {
            yield return new Delay(10);
            throw new InvalidOperationException("the routine's own");
        }

        machine.Cpus[0].Start("wrong", Wrong());
        Should.Throw<InvalidOperationException>(() => machine.Run()).Message.ShouldBe("the routine's own");
        var other = machine.Cpus[1].Start("right", [new Delay(50)]);
        machine.Run(other).ShouldBe(MachineStop.Completed);
    }

    [Fact]
    public void A_machine_that_was_disposed_of_says_so()
    {
        var machine = Make(1);
        machine.Dispose();
        Should.Throw<ObjectDisposedException>(() => machine.Run());
        Should.Throw<ObjectDisposedException>(() => machine.Memory.IsMapped(new(0), 1));
        Should.Throw<ObjectDisposedException>(() => machine.Hash());
    }

    private static SmpMachine Make(int cpus) => new(new MachineOptions { Cpus = cpus, Costs = Costs });

    private sealed class Sync : IpiFunction
    {
        public override string Name => "sync";

        protected internal override bool IsSyncCore => true;

        protected internal override long Call(Cpu cpu)
        {
            cpu.Serialise(SerialisingEvents.Instruction);
            return cpu.Machine.Costs.Serialise;
        }
    }

    private sealed class Probe(long handlerCycles) : IpiFunction
    {
        public List<int> RanOn { get; } = [];

        public override string Name => "probe";

        protected internal override long Call(Cpu cpu)
        {
            RanOn.Add(cpu.Id.Index);
            return handlerCycles;
        }
    }

    private sealed class DivisibleProbe(long handlerCycles) : IpiFunction
    {
        public override string Name => "divisible probe";

        public override bool IsIndivisible => false;

        public override IEnumerable<KernelStep> Steps(Cpu cpu) => [new Delay(handlerCycles)];
    }
}
