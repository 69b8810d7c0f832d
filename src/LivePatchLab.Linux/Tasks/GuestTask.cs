using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Where a task stands with its CPU.</summary>
public enum TaskState
{
    /// <summary>On its CPU.</summary>
    Running,

    /// <summary>Taken off its CPU between any two instructions; it will go on from exactly there.</summary>
    Preempted,

    /// <summary>It has given up its CPU itself, or is new, and waits for its turn.</summary>
    Ready,

    /// <summary>It has given up its CPU itself and waits to be woken.</summary>
    Sleeping,

    /// <summary>It is gone.</summary>
    Exited,
}

/// <summary>What others may know of a task.</summary>
/// <param name="State">Where it stands.</param>
/// <param name="VoluntarySchedules">How often it has called schedule() itself: what synchronize_rcu_tasks() waits for.</param>
public readonly record struct TaskStatus(TaskState State, int VoluntarySchedules)
{
    public override string ToString() => $"{State}, {VoluntarySchedules} schedules";
}

/// <summary>A task: guest code that can be taken off its CPU and put back, with its registers and the RIP at which it goes on.</summary>
[KernelName("task_struct", File = "include/linux/sched.h", Version = "v6.1")]
public sealed class GuestTask
{
    private const ulong InterruptFlagBit = 1 << 9;

    private readonly ulong[] _registers = new ulong[16];
    private GuestAddress _rip, _fsBase, _gsBase;
    private ulong _rflags;

    internal GuestTask(Cpu cpu, string name, TaskState state, bool isUser)
    {
        Cpu = cpu;
        Name = name;
        IsUser = isUser;
        Status = new($"{name}.status", new(state, 0));
        ReadNesting = new($"{name}.rcu_read_lock_nesting", 0);
        _rflags = 2;
    }

    public string Name { get; }

    /// <summary>The CPU that it runs on; it never moves.</summary>
    public Cpu Cpu { get; }

    /// <summary>True for a program at privilege level 3: there it can be in the middle of no kernel code.</summary>
    public bool IsUser { get; }

    public KernelVariable<TaskStatus> Status { get; }

    /// <summary>How many RCU read-side critical sections it is in; they go with it when it is preempted.</summary>
    public KernelVariable<int> ReadNesting { get; }

    /// <summary>Where it will go on; null while it runs or when it is gone.</summary>
    public GuestAddress? ParkedRip => Status.Value.State is TaskState.Running or TaskState.Exited ? null : _rip;

    /// <summary>The context of a task that has not run yet.</summary>
    internal void SetStart(GuestAddress rip, GuestAddress stackTop)
    {
        _rip = rip;
        _registers[4] = stackTop.Value;
    }

    /// <summary>Keeps what the CPU holds of the guest.</summary>
    internal void Save()
    {
        Cpu.Registers.CopyTo(_registers);
        (_rip, _fsBase, _gsBase) = (Cpu.Rip, Cpu.FsBase, Cpu.GsBase);

        _rflags = Cpu.Rflags;
    }

    /// <summary>Has the CPU go on with this task once its routines are done.</summary>
    internal void Load()
    {
        Cpu.StartGuest(_rip, new(_registers[4]), IsUser);
        _registers.CopyTo(Cpu.Registers);
        (Cpu.FsBase, Cpu.GsBase) = (_fsBase, _gsBase);

        // The handler that switches keeps its own interrupt flag; the guest's is on, or nothing could have come between its instructions.
        Cpu.Rflags = (_rflags & ~InterruptFlagBit) | (Cpu.Rflags & InterruptFlagBit);
    }

    public override string ToString() => $"{Name}: {Status.Value.State}{(ParkedRip is { } rip ? $" at {rip}" : "")}";
}
