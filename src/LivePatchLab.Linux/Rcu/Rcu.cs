using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// Grace periods: waiting until everybody who may hold what was just unlinked has let go of it. That is all they do. A CPU that passes a
/// quiescent state need not serialise for it, so what it fetched before, it may still execute after: for that there is <see cref="RunSync"/>;
/// and neither orders the stores of others as a <see cref="Fence"/> does those of its own CPU.
/// </summary>
/// <remarks>
///   updater                        reader
///                                  rcu_read_lock
///   unlink
///   synchronize_rcu                ... still holds what was unlinked
///     waits                        rcu_read_unlock
///   free
/// Readers are counted task by task, as with CONFIG_PREEMPT_RCU, so a reader that is preempted holds the grace period up. Readers that come
/// later do not.
/// </remarks>
public sealed class Rcu
{
    private readonly KernelTasks _tasks;

    private Rcu(LinuxKernel kernel)
    {
        _tasks = KernelTasks.In(kernel);
        var gate = GuestGate.In(kernel);
        gate.Offer(GuestGate.RcuReadLock, "rcu_read_lock", cpu => [ReadLock(cpu)]);
        gate.Offer(GuestGate.RcuReadUnlock, "rcu_read_unlock", cpu => [ReadUnlock(cpu)]);
    }

    public static Rcu In(LinuxKernel kernel) => kernel.Globals(k => new Rcu(k));

    /// <summary>rcu_read_lock(), for the task that is on a CPU now; sections nest.</summary>
    public KernelStep ReadLock(Cpu cpu) => _tasks.CurrentOn(cpu).ReadNesting.Update("+ 1", n => n + 1);

    /// <summary>rcu_read_unlock()</summary>
    public KernelStep ReadUnlock(Cpu cpu) => _tasks.CurrentOn(cpu).ReadNesting.Update("- 1", n => n - 1);

    /// <summary>Waits until every task has been outside all read-side critical sections once. A reader that calls this waits for itself.</summary>
    [KernelName("synchronize_rcu", File = "kernel/rcu/tree.c", Version = "v6.1")]
    public IEnumerable<KernelStep> Synchronize()
    {
        yield return Fence.Full;
        foreach (var task in _tasks.All.ToArray()) yield return task.ReadNesting.SpinUntil("is 0: synchronize_rcu", nesting => nesting == 0);
        yield return Fence.Full;
    }

    /// <summary>
    /// Waits until every task that runs or was preempted has called schedule() itself, and so has left whatever trampoline, or whatever middle of
    /// an instruction that is being replaced, it was in. Not waited for: who sleeps of its own accord, wherever that may be; who is in user mode; idle CPUs.
    /// </summary>
    [KernelName("synchronize_rcu_tasks", File = "kernel/rcu/tasks.h", Version = "v6.1")]
    public IEnumerable<KernelStep> SynchronizeTasks(Cpu caller)
    {
        yield return Fence.Full;
        var holdouts = new List<(GuestTask Task, int Schedules)>();
        foreach (var task in _tasks.All.ToArray())
        {
            // The caller schedules by waiting here, and so does the task on whose behalf it runs: nobody else could ever end its wait.
            if (task.IsUser || task == _tasks.CurrentOn(caller)) continue;
            var status = task.Status.Load();
            yield return status;
            if (MayHoldUp(task, status.Value)) holdouts.Add((task, status.Value.VoluntarySchedules));
        }

        foreach (var (task, schedules) in holdouts)
            yield return task.Status.SpinUntil("shows that it has scheduled: synchronize_rcu_tasks", now => now.VoluntarySchedules != schedules);
        yield return Fence.Full;
    }

    private bool MayHoldUp(GuestTask task, TaskStatus status) => status.State switch
    {
        TaskState.Preempted => true,

        // The task of an idle CPU is its idle loop; a halted one is in it too.
        TaskState.Running => task == _tasks.CurrentOn(task.Cpu) && task.Cpu.Activity == CpuActivity.Guest,
        _ => false,
    };
}
