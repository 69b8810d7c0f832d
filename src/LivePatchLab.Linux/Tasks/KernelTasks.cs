using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// The tasks of a kernel and the least of schedulers: a queue for each CPU, first come, first served. A task leaves its CPU when it is preempted,
/// which an interrupt does between any two of its instructions, or when it calls schedule() itself.
/// </summary>
/// <remarks>
/// The interrupt that preempts ends with IRET, which serialises; a schedule() that a task calls itself does not. So a task may go on, after
/// as many voluntary schedules as you like, with instructions that its CPU fetched long before. A kernel routine is never preempted.
/// </remarks>
public sealed class KernelTasks
{
    private readonly GuestTask[] _boot, _current;
    private readonly Queue<GuestTask>[] _ready;
    private readonly List<GuestTask> _all = [];

    private KernelTasks(LinuxKernel kernel)
    {
        var cpus = kernel.Machine.Cpus;
        _boot = [.. cpus.Select(cpu => new GuestTask(cpu, $"swapper/{cpu.Id.Index}", TaskState.Running, isUser: false))];
        _current = [.. _boot];
        _ready = [.. cpus.Select(_ => new Queue<GuestTask>())];
        _all.AddRange(_boot);
        var gate = GuestGate.In(kernel);
        gate.Offer(GuestGate.SchedYield, "schedule", cpu => Leave(cpu, TaskState.Ready));
        gate.Offer(GuestGate.Pause, "pause", cpu => Leave(cpu, TaskState.Sleeping));
        gate.Offer(GuestGate.Exit, "do_exit", cpu => Leave(cpu, TaskState.Exited));
    }

    /// <summary>Every task that there has been; first each CPU's own, which stands for the guest code that the CPU was started with, or its idle loop.</summary>
    public IReadOnlyList<GuestTask> All => _all;

    public static KernelTasks In(LinuxKernel kernel) => kernel.Globals(k => new KernelTasks(k));

    /// <summary>The task on a CPU: kernel routines there work on its behalf.</summary>
    public GuestTask CurrentOn(Cpu cpu) => _current[cpu.Id.Index];

    /// <summary>Makes a task and lets it wait for its turn; an idle CPU takes it at once.</summary>
    /// <param name="cpu">Where it runs.</param>
    /// <param name="name">Different from those of all other tasks.</param>
    /// <param name="rip">Its first instruction.</param>
    /// <param name="stackTop">RSP at the start.</param>
    /// <param name="isUser">True for a program at privilege level 3.</param>
    public GuestTask Spawn(Cpu cpu, string name, GuestAddress rip, GuestAddress stackTop, bool isUser = false)
    {
        var task = new GuestTask(cpu, name, TaskState.Ready, isUser);
        task.SetStart(rip, stackTop);
        _all.Add(task);
        _ready[cpu.Id.Index].Enqueue(task);
        if (cpu is { Activity: CpuActivity.Idle, Routine: null }) cpu.Start("schedule", TakeNext(cpu));
        return task;
    }

    /// <summary>Has another CPU preempt what it runs, by an IPI; the sender does not wait.</summary>
    [KernelName("smp_send_reschedule", File = "arch/x86/kernel/smp.c", Version = "v6.1")]
    public KernelStep SendReschedule(Cpu target) => new CallFunction(new Reschedule(this), wait: false, only: cpu => cpu == target);

    /// <summary>The steps of an interrupt's handler that preempts the current task. To be called when the interrupt comes in: what it finds on the CPU then is what it interrupts.</summary>
    public IEnumerable<KernelStep> Preempt(Cpu cpu) => PreemptInterrupted(cpu, mayPreempt: cpu.Routine is null);

    /// <summary>Ends the sleep of a task. It waits for its turn; an idle CPU is sent an IPI to take it.</summary>
    public IEnumerable<KernelStep> Wake(Cpu waker, GuestTask task)
    {
        var status = task.Status.Load();
        yield return status;
        if (status.Value.State != TaskState.Sleeping) yield break;
        yield return task.Status.Update("= Ready", s => s with { State = TaskState.Ready });
        yield return new QueueStep(this, task);
        if (task.Cpu != waker) yield return SendReschedule(task.Cpu);
        else if (task.Cpu.Activity == CpuActivity.Idle) yield return KernelStep.Call(TakeNext(task.Cpu));
    }

    private IEnumerable<KernelStep> PreemptInterrupted(Cpu cpu, bool mayPreempt)
    {
        if (!mayPreempt || _ready[cpu.Id.Index].Count == 0) yield break;
        if (cpu.Activity != CpuActivity.Idle)
        {
            var previous = CurrentOn(cpu);
            yield return previous.Status.Update("= Preempted", s => s with { State = TaskState.Preempted });
            yield return new SwitchStep(this, cpu, previous, goesOn: true);
        }
        else
        {
            yield return new SwitchStep(this, cpu, previous: null, goesOn: false);
        }

        yield return IsRunning(CurrentOn(cpu));
    }

    /// <summary>schedule(), called by the task itself.</summary>
    private IEnumerable<KernelStep> Leave(Cpu cpu, TaskState state)
    {
        // As in __schedule() of kernel/sched/core.c: who is woken in the middle of it is found in the queue, or by the IPI behind it, not lost between the two.
        // The end of the routine turns interrupts on again.
        yield return InterruptFlag.Off;
        var previous = CurrentOn(cpu);
        yield return previous.Status.Update($"= {state}", s => new(state, s.VoluntarySchedules + 1));
        yield return new SwitchStep(this, cpu, previous, goesOn: state == TaskState.Ready);
        if (cpu.Activity == CpuActivity.Guest) yield return IsRunning(CurrentOn(cpu));
    }

    private IEnumerable<KernelStep> TakeNext(Cpu cpu)
    {
        yield return InterruptFlag.Off;
        if (_ready[cpu.Id.Index].Count == 0) yield break;
        yield return new SwitchStep(this, cpu, previous: null, goesOn: false);
        yield return IsRunning(CurrentOn(cpu));
    }

    private static KernelStep IsRunning(GuestTask task) => task.Status.Update("= Running", s => s with { State = TaskState.Running });

    /// <summary>What the rescheduling IPI does.</summary>
    private sealed class Reschedule(KernelTasks tasks) : IpiFunction
    {
        public override string Name => "reschedule";

        public override bool IsIndivisible => false;

        public override IEnumerable<KernelStep> Steps(Cpu cpu) => tasks.Preempt(cpu);
    }

    private sealed class QueueStep(KernelTasks tasks, GuestTask task) : KernelStep
    {
        public override string Describe() => $"{task.Name} waits for its turn";

        protected override long Execute(Cpu cpu)
        {
            tasks._ready[task.Cpu.Id.Index].Enqueue(task);
            return cpu.Machine.Costs.VariableAccess;
        }
    }

    /// <summary>context_switch(): keeps the registers of one task and puts those of the next into their place.</summary>
    private sealed class SwitchStep(KernelTasks tasks, Cpu cpu, GuestTask? previous, bool goesOn) : KernelStep
    {
        public override string Describe() => $"{previous?.Name ?? "idle"} leaves {cpu.Id}, {(tasks._ready[cpu.Id.Index].TryPeek(out var next) ? next.Name : goesOn ? previous!.Name : "idle")} comes";

        protected override long Execute(Cpu executing)
        {
            var ready = tasks._ready[cpu.Id.Index];
            previous?.Save();
            if (goesOn) ready.Enqueue(previous!);
            if (ready.TryDequeue(out var next))
            {
                tasks._current[cpu.Id.Index] = next;
                next.Load();
            }
            else
            {
                tasks._current[cpu.Id.Index] = tasks._boot[cpu.Id.Index];
                cpu.StopGuest();
            }

            return cpu.Machine.Costs.StopperWake;
        }
    }
}
