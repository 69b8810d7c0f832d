using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The lock that is taken beside text_mutex.</summary>
internal enum SecondLock
{
    /// <summary>ftrace patches under text_mutex and comes to stop_machine(), which takes cpu_hotplug_lock; register_kprobe() takes them the other way round.</summary>
    CpuHotplugLock,

    /// <summary>ftrace makes the modules' text writable under text_mutex, which takes module_mutex; kprobe_optimizer() took that first.</summary>
    ModuleMutex,
}

/// <summary>B24: two CPUs take two locks in two orders.</summary>
/// <param name="second">The lock beside text_mutex.</param>
/// <param name="hasOneOrder">Whether both take it first.</param>
internal sealed class LockOrder(SecondLock second, bool hasOneOrder) : GalleryScenario
{
    private static readonly GuestAddress Site = Text + 0x100, Probed = Text + 0x200, Tracer = Text + 0x280;

    public override string Name => $"text_mutex and {second}, {(hasOneOrder ? "in one order" : "in two orders")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.WaitsWithInterruptsOn;

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        Kprobes.MapSlots(machine);
    }

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, FtraceRecords.NopReplace(), Branch(Call, Site, Tracer)));
        var locks = KernelLocks.In(run.Kernel);
        var beside = second == SecondLock.CpuHotplugLock ? locks.CpuHotplugLock : locks.ModuleMutex;
        var patcher = Protocols.TextPokeBp.Attach(run.Kernel);
        var probes = new Kprobes(run.Kernel);
        run.Machine.Cpus[0].Start("ftrace_run_update_code", UpdateCode(run, patcher, beside));
        run.Machine.Cpus[1].Start(second == SecondLock.CpuHotplugLock ? "register_kprobe" : "kprobe_optimizer", Probe(run, probes, beside));
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Site, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(Probed, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(Tracer, [Ret]);
    }

    private IEnumerable<KernelStep> UpdateCode(ScenarioRun run, IPatcher patcher, KernelLock beside)
    {
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        var (first, then) = hasOneOrder ? (beside, context.TextMutex) : (context.TextMutex, beside);
        yield return first.Acquire();
        yield return then.Acquire();
        yield return KernelStep.Call(patcher.Apply(context, run.Sites));
        yield return then.Release();
        yield return first.Release();
    }

    private IEnumerable<KernelStep> Probe(ScenarioRun run, Kprobes probes, KernelLock beside)
    {
        // Registering takes text_mutex itself; so does the optimizer, for the pokes that nobody needs here.
        yield return beside.Acquire();
        if (second == SecondLock.CpuHotplugLock)
        {
            yield return KernelStep.Call(probes.Register(new(run.Kernel, "probe", Probed)));
        }
        else
        {
            yield return run.Kernel.TextMutex.Acquire();
            yield return run.Kernel.TextMutex.Release();
        }

        yield return beside.Release();
    }
}
