using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux.Tests;

/// <summary>Tasks that are taken off their CPU anywhere, and go on from there.</summary>
public sealed class TaskTests
{
    private const int Passes = 200;

    [Fact]
    public void Two_tasks_preempted_anywhere_lose_nothing_of_what_they_count()
    {
        var parked = new HashSet<ulong>();
        for (var seed = 1UL; seed <= 5; seed++)
        {
            using var lab = new AgentMachine(seed: seed);
            for (var task = 0; task < 2; task++)
            {
                var word = task;
                lab.Load(0x100 * task, a => AgentMachine.Loop(a, Passes, word, body =>
                {
                    // All of it lives in registers and flags between the instructions.
                    body.mov(rcx, __qword_ptr[AgentMachine.Data.Value + 64 + (8 * (ulong)word)]);
                    body.add(rcx, word + 1);
                    body.mov(__qword_ptr[AgentMachine.Data.Value + 64 + (8 * (ulong)word)], rcx);
                }));
            }

            var tasks = new[] { lab.Spawn(1, "one", 0), lab.Spawn(1, "two", 0x100) };
            IEnumerable<KernelStep> Ticks()
            {
                for (var i = 0; i < 60; i++)
                {
                    yield return lab.Tasks.SendReschedule(lab.Cpu(1));
                    yield return new Delay(7 + (i % 5));
                    foreach (var task in tasks)
                        if (task is { Status.Value.State: TaskState.Preempted, ParkedRip: { } rip }) parked.Add(rip.Value);
                }
            }

            lab.Do(Ticks()).ShouldBe(MachineStop.Completed);
            lab.RunOut().ShouldBe(MachineStop.Idle);
            (lab.Word(0), lab.Word(1), lab.Word(8), lab.Word(9)).ShouldBe(((ulong)Passes, (ulong)Passes, (ulong)Passes, 2UL * Passes), $"seed {seed}");
            tasks.ShouldAllBe(task => task.Status.Value.State == TaskState.Exited && task.ParkedRip == null);
            lab.Cpu(1).Activity.ShouldBe(CpuActivity.Idle);
        }

        parked.Count.ShouldBeGreaterThan(5, "it must have been taken off in many places");
    }

    [Fact]
    public void A_kernel_routine_is_not_preempted()
    {
        using var lab = new AgentMachine();
        lab.Load(0, a => AgentMachine.Loop(a, 1, 0, _ => { }));
        var routine = lab.Cpu(1).Start("busy", [new Delay(500)]);
        lab.Spawn(1, "one", 0);
        lab.Do([lab.Tasks.SendReschedule(lab.Cpu(1)), new Delay(100)]).ShouldBe(MachineStop.Completed);
        routine.IsComplete.ShouldBeFalse();
        lab.Machine.Accounts.Phases[0].Cpus[1].IpisTaken.ShouldBe(1);
        lab.Tasks.CurrentOn(lab.Cpu(1)).Name.ShouldBe("swapper/1");
        lab.Word(0).ShouldBe(0UL);
    }

    [Fact]
    public void A_rescheduling_ipi_goes_to_one_cpu_only()
    {
        using var lab = new AgentMachine(cpus: 4);
        lab.Do([lab.Tasks.SendReschedule(lab.Cpu(2))]);
        lab.RunOut();
        lab.Machine.Accounts.Phases[0].Cpus.ToArray().Select(c => c.IpisTaken).ShouldBe([0, 0, 1, 0]);
    }

    [Fact]
    public void A_task_that_pauses_is_woken_and_goes_on_behind_its_call()
    {
        using var lab = new AgentMachine();
        lab.Load(0, a =>
        {
            a.inc(__qword_ptr[AgentMachine.Data.Value]);
            AgentMachine.Call(a, GuestGate.Pause);
            a.inc(__qword_ptr[AgentMachine.Data.Value]);
            AgentMachine.Call(a, GuestGate.Exit);
        });
        var task = lab.Spawn(1, "sleeper", 0);
        lab.RunOut().ShouldBe(MachineStop.Idle);
        (task.Status.Value.State, lab.Word(0)).ShouldBe((TaskState.Sleeping, 1UL));
        lab.Do(lab.Tasks.Wake(lab.Cpu(0), task)).ShouldBe(MachineStop.Completed);
        lab.RunOut().ShouldBe(MachineStop.Idle);
        (task.Status.Value, lab.Word(0)).ShouldBe((new TaskStatus(TaskState.Exited, 2), 2UL));
    }

    [Fact]
    public void A_function_that_the_kernel_has_not_is_Enosys()
    {
        using var lab = new AgentMachine();
        lab.Load(0, a =>
        {
            AgentMachine.Call(a, 9999);
            a.mov(__[AgentMachine.Data.Value], rax);
            AgentMachine.Call(a, GuestGate.Exit);
        });
        lab.Spawn(1, "asker", 0);
        lab.RunOut().ShouldBe(MachineStop.Idle);
        ((long)lab.Word(0)).ShouldBe(Errno.Enosys);
    }
}
