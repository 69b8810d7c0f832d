using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B15 and B16: a task is taken off its CPU between any two instructions. The one that comes in its place asks another CPU to patch, and goes; then the
/// first goes on from where it was.
/// </summary>
internal static class PreemptedTask
{
    /// <summary>A number that no system call has.</summary>
    private const int AskForPatch = 0x2000;

    private static readonly GuestAddress Asker = new(0xffffffff81800000), AskerStack = new(0xffffffff81801000);

    /// <summary>mov eax, ask; syscall; mov eax, exit; syscall.</summary>
    public static void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Asker, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(Asker, [0xb8, AskForPatch & 0xff, AskForPatch >> 8, 0x00, 0x00, 0x0f, 0x05, 0xb8, GuestGate.Exit, 0x00, 0x00, 0x00, 0x0f, 0x05]);
        machine.Memory.Map(AskerStack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
    }

    /// <summary>Starts all three.</summary>
    /// <param name="run">The execution, on two CPUs.</param>
    /// <param name="entry">Where the task begins that may be preempted.</param>
    /// <param name="stackTop">Its stack.</param>
    /// <param name="prepare">Done before that task begins.</param>
    /// <param name="patch">Done when asked for.</param>
    public static void Start(ScenarioRun run, GuestAddress entry, GuestAddress stackTop, IEnumerable<KernelStep> prepare, IEnumerable<KernelStep> patch)
    {
        var tasks = KernelTasks.In(run.Kernel);
        var (prepared, asked) = (new KernelVariable<bool>("prepared", false), new KernelVariable<bool>("asked", false));
        var (patching, executing) = (run.Machine.Cpus[0], run.Machine.Cpus[1]);
        GuestGate.In(run.Kernel).Offer(AskForPatch, "ask for the patch", _ => [asked.Store(true)]);
        executing.StartGuest(entry, stackTop);
        tasks.Spawn(executing, "asker", Asker, AskerStack + 0x400);
        executing.Start("wait for the start", Wait());
        patching.Start("patch", [KernelStep.Call(prepare), prepared.Store(true), asked.SpinUntil("is true", isAsked => isAsked), KernelStep.Call(patch)]);

        IEnumerable<KernelStep> Wait()
        {
            yield return prepared.SpinUntil("is true", isPrepared => isPrepared);
            executing.ArmInterrupt("reschedule", tasks.Preempt);
        }
    }
}

/// <summary>I7: bytes of a site behind the first change only while no task is to go on there.</summary>
internal sealed class NobodyParkedInside : Checker
{
    public override Invariants Invariant => Invariants.NobodyInside;

    public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
    {
        foreach (var site in run.Sites)
        {
            foreach (var task in KernelTasks.In(run.Kernel).All)
            {
                // A handler's frame points behind the INT3 until it has set it right.
                var isOnCpu = task == KernelTasks.In(run.Kernel).CurrentOn(task.Cpu);
                if (isOnCpu && (task.Cpu.Routine is not null || task.Cpu.Activity != CpuActivity.Guest)) continue;
                if ((isOnCpu ? task.Cpu.Rip : task.ParkedRip) is not { } rip) continue;
                if (rip <= site.Address || rip >= site.Address + site.Length || address >= site.Address + site.Length || address + length <= rip) continue;
                run.Report(Invariant, task.Cpu, rip, $"{task.Name} {(isOnCpu ? "stands" : "is parked")} at {site.Address}+{rip - site.Address}, inside what has become {Convert.ToHexStringLower(run.Machine.Memory.Read(site.Address, site.Length))}");
                return;
            }
        }
    }

    /// <summary>Where nobody was seen to stand, somebody may yet have come there, by a jump from the copy of a probed instruction.</summary>
    public override void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame)
    {
        if (frame.Vector == TrapVector.Breakpoint) return;
        foreach (var site in run.Sites)
            if (frame.Rip > site.Address && frame.Rip < site.Address + site.Length) run.Report(Invariant, cpu, frame.Rip, $"{frame.Vector.Mnemonic()} at {site.Address}+{frame.Rip - site.Address}, inside the site");
    }
}
