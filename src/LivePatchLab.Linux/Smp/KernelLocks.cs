using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// The locks that patchers take beside text_mutex. Who takes two of them takes them in one order everywhere, or two CPUs come to wait for each
/// other: text_mutex and cpu_hotplug_lock in 2018 (9f255b632bf1, mended by d5b844a2cf50), text_mutex and module_mutex in 2019 (mended by f1c6ece23729).
/// </summary>
public sealed class KernelLocks
{
    private KernelLocks()
    {
    }

    /// <summary>cpus_read_lock() (kernel/cpu.c): no CPU comes or goes. Readers shut each other out here, which they do not in the kernel.</summary>
    public KernelLock CpuHotplugLock { get; } = new("cpu_hotplug_lock");

    /// <summary>The list of modules (kernel/module.c).</summary>
    public KernelLock ModuleMutex { get; } = new("module_mutex");

    /// <summary>The table of probes (kernel/kprobes.c).</summary>
    public KernelLock KprobeMutex { get; } = new("kprobe_mutex");

    public static KernelLocks In(LinuxKernel kernel) => kernel.Globals(_ => new KernelLocks());
}
