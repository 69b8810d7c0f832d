using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// The kernel functions that guest code can call: SYSCALL with a number in RAX. It stands for a call of the function, from code of the kernel as
/// from a program's, and as SYSRET does not serialise, neither does the way back. RCX and R11 are lost, as the instruction has it.
/// </summary>
public sealed class GuestGate
{
    /// <summary>Linux's number for pause(): the caller sleeps until somebody wakes it.</summary>
    public const int Pause = 34;

    /// <summary>Linux's number for sched_yield(): the caller gives the CPU up of its own accord.</summary>
    public const int SchedYield = 24;

    /// <summary>Linux's number for exit(): the caller is gone.</summary>
    public const int Exit = 60;

    /// <summary>rcu_read_lock(); a number that no system call has.</summary>
    public const int RcuReadLock = 0x1000;

    /// <summary>rcu_read_unlock()</summary>
    public const int RcuReadUnlock = 0x1001;

    /// <summary>ct_kernel_enter(): the entry code has come so far that it may be told what was put off while the CPU was in user mode.</summary>
    public const int KernelEnter = 0x1002;

    /// <summary>ct_user_enter(): from here on the CPU is in user mode.</summary>
    public const int UserEnter = 0x1003;

    private readonly Dictionary<ulong, (string Name, Func<Cpu, IEnumerable<KernelStep>> Function)> _functions = [];

    private GuestGate(LinuxKernel kernel) => kernel.Machine.SystemCall = Enter;

    /// <summary>A kernel's own. From then on SYSCALL on its machine comes here.</summary>
    public static GuestGate In(LinuxKernel kernel) => kernel.Globals(k => new GuestGate(k));

    /// <summary>Has a function be called by a number.</summary>
    /// <param name="number">What RAX holds.</param>
    /// <param name="name">For traces.</param>
    /// <param name="function">The steps, which run on the calling CPU before the guest goes on.</param>
    public void Offer(int number, string name, Func<Cpu, IEnumerable<KernelStep>> function) => _functions.Add((ulong)number, (name, function));

    private void Enter(Cpu cpu)
    {
        if (_functions.TryGetValue(cpu.Rax, out var called)) cpu.Start(called.Name, called.Function(cpu));
        else cpu.Rax = unchecked((ulong)Errno.Enosys);
    }
}
