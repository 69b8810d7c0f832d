using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux.Tests;

/// <summary>Grace periods wait for those whom they must wait for, and do nothing else.</summary>
public sealed class GracePeriodTests
{
    private const int Spin = 2_000;

    [Fact]
    public void Synchronize_rcu_waits_for_a_reader_and_not_for_those_who_come_later()
    {
        using var lab = new AgentMachine(fetch: FetchModel.Ideal);
        lab.Load(0, a =>
        {
            AgentMachine.Call(a, GuestGate.RcuReadLock);
            AgentMachine.Call(a, GuestGate.RcuReadLock);
            Work(a);
            AgentMachine.Call(a, GuestGate.RcuReadUnlock);
            Work(a);
            a.inc(__qword_ptr[AgentMachine.Data.Value]);
            AgentMachine.Call(a, GuestGate.RcuReadUnlock);
            AgentMachine.Call(a, GuestGate.RcuReadLock);
            Work(a);
            a.inc(__qword_ptr[AgentMachine.Data.Value]);
            AgentMachine.Call(a, GuestGate.RcuReadUnlock);
            AgentMachine.Call(a, GuestGate.Exit);
        });
        var reader = lab.Spawn(1, "reader", 0);
        lab.Do([new Delay(200)]);
        reader.ReadNesting.Value.ShouldBe(2);
        lab.Do(lab.Rcu.Synchronize()).ShouldBe(MachineStop.Completed);
        lab.Word(0).ShouldBe(1UL, "the first section is over, the second is not waited for");
    }

    [Fact]
    public void A_reader_that_was_preempted_holds_synchronize_rcu_up()
    {
        using var lab = new AgentMachine(fetch: FetchModel.Ideal);
        lab.Load(0, a =>
        {
            AgentMachine.Call(a, GuestGate.RcuReadLock);
            Work(a);
            AgentMachine.Call(a, GuestGate.RcuReadUnlock);
            AgentMachine.Call(a, GuestGate.Exit);
        });
        lab.Load(0x100, a =>
        {
            var self = a.CreateLabel();
            a.Label(ref self);
            a.jmp(self);
        });
        var reader = lab.Spawn(1, "reader", 0);
        lab.Spawn(1, "hog", 0x100);
        lab.Do([new Delay(100), lab.Tasks.SendReschedule(lab.Cpu(1)), new Delay(100)]);
        reader.Status.Value.State.ShouldBe(TaskState.Preempted);

        var period = lab.Cpu(0).Start("updater", lab.Rcu.Synchronize());
        lab.Machine.Run(period, clockLimitCycles: 200_000).ShouldBe(MachineStop.ClockLimit, "nobody lets the reader go on");
        lab.Cpu(0).Start("tick", [lab.Tasks.SendReschedule(lab.Cpu(1))]);
        lab.Machine.Run(period, clockLimitCycles: 400_000).ShouldBe(MachineStop.Completed);
    }

    [Fact]
    public void A_reader_that_synchronises_waits_for_itself()
    {
        using var lab = new AgentMachine();
        lab.Do([lab.Rcu.ReadLock(lab.Cpu(0)), KernelStep.Call(lab.Rcu.Synchronize())]).ShouldBe(MachineStop.Deadlock);
        lab.Machine.Waiting().ShouldHaveSingleItem().ShouldContain("swapper/0.rcu_read_lock_nesting is 0: synchronize_rcu");
    }

    [Fact]
    public void Synchronize_rcu_tasks_waits_until_a_preempted_task_has_scheduled_itself()
    {
        using var lab = new AgentMachine(fetch: FetchModel.Ideal);
        lab.Load(0, a =>
        {
            Work(a);
            a.inc(__qword_ptr[AgentMachine.Data.Value]);
            AgentMachine.Call(a, GuestGate.SchedYield);
            Work(a);
            Work(a);
            AgentMachine.Call(a, GuestGate.Exit);
        });
        lab.Load(0x100, a =>
        {
            Work(a);
            AgentMachine.Loop(a, 10, 1, _ => { }, yields: true);
        });
        var parked = lab.Spawn(1, "parked", 0);
        lab.Spawn(1, "other", 0x100);
        lab.Do([new Delay(100), lab.Tasks.SendReschedule(lab.Cpu(1)), new Delay(100)]);
        parked.Status.Value.ShouldBe(new TaskStatus(TaskState.Preempted, 0));
        lab.Do(lab.Rcu.SynchronizeTasks(lab.Cpu(0))).ShouldBe(MachineStop.Completed);
        (parked.Status.Value.VoluntarySchedules, lab.Word(0)).ShouldBe((1, 1UL));
    }

    [Fact]
    public void Synchronize_rcu_tasks_waits_neither_for_sleepers_nor_for_programs_nor_for_idle_cpus()
    {
        using var lab = new AgentMachine(cpus: 4, fetch: FetchModel.Ideal);
        lab.Load(0, a => AgentMachine.Call(a, GuestGate.Pause));
        lab.Load(0x100, a =>
        {
            var self = a.CreateLabel();
            a.Label(ref self);
            a.jmp(self);
        });
        lab.Spawn(1, "sleeper", 0);
        lab.Tasks.Spawn(lab.Cpu(2), "program", AgentMachine.Code + 0x100, new(0x80_8000), isUser: true);
        lab.Do([new Delay(100)]);
        lab.Do(lab.Rcu.SynchronizeTasks(lab.Cpu(0))).ShouldBe(MachineStop.Completed);

        // The control: the same loop as kernel code is waited for.
        lab.Spawn(3, "kthread", 0x100);
        lab.Do([new Delay(100)]);
        lab.Do(lab.Rcu.SynchronizeTasks(lab.Cpu(0))).ShouldBe(MachineStop.ClockLimit);
    }

    [Fact]
    public void A_quiescent_state_is_no_serialising_event_and_a_sync_is()
    {
        using var lab = new AgentMachine();
        byte[] old = [0x0f, 0x1f, 0x44, 0x00, 0x00], changed = [0x0f, 0x1f, 0x44, 0x00, 0x01];
        lab.Load(0x800, a => a.db(old));
        lab.Load(0, a => AgentMachine.Loop(a, 100_000, 0, _ => { }, yields: true));
        var task = lab.Spawn(1, "runner", 0);
        lab.Do([new Delay(500)]);
        var site = AgentMachine.Code + 0x800;

        var schedules = task.Status.Value.VoluntarySchedules;
        lab.Do([new TextPoke(lab.Kernel, site, changed), new Delay(300), KernelStep.Call(lab.Rcu.Synchronize()), KernelStep.Call(lab.Rcu.SynchronizeTasks(lab.Cpu(0))), Fence.Full]).ShouldBe(MachineStop.Completed);
        task.Status.Value.VoluntarySchedules.ShouldBeGreaterThan(schedules, "it has been through quiescent states");
        lab.Machine.OldestVisibleCode(new(1), site, 5).ShouldBe(old, "and may all the same execute what it fetched before them");

        lab.Do([new RunSync(lab.Kernel)]).ShouldBe(MachineStop.Completed);
        lab.Machine.OldestVisibleCode(new(1), site, 5).ShouldBe(changed);
    }

    private static void Work(Iced.Intel.Assembler a)
    {
        var again = a.CreateLabel();
        a.mov(ebx, Spin);
        a.Label(ref again);
        a.dec(ebx);
        a.jnz(again);
    }
}
