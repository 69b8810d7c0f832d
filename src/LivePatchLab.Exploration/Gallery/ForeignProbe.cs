using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B09 and B10: while one CPU patches, the other hits a probe's INT3 that has nothing to do with it. The last sync waits for the handlers that are under
/// way; this one may begin after it.
/// </summary>
internal static class ForeignProbe
{
    private static readonly GuestAddress Probed = new(0xffffffffa0000000);

    /// <summary>nop, with the probe on it; mov eax, exit; syscall.</summary>
    private static readonly byte[] Program = [0x90, 0xb8, GuestGate.Exit, 0x00, 0x00, 0x00, 0x0f, 0x05];

    public static Scenario Beside(IPatchProtocol protocol) => new StagedPatch(protocol)
    {
        Checked = Invariants.DescriptorOutlivesHandlers | Invariants.TrapsAreConsumed | Invariants.ForeignInt3Survives,
        Ground = LayOutProbed,
        Cue = ProbeFirst,
    };

    private static void LayOutProbed(SmpMachine machine)
    {
        machine.Memory.Map(Probed, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(Probed, Program);
        Kprobes.MapSlots(machine);
    }

    private static void ProbeFirst(ScenarioRun run)
    {
        // The protocol's handler has been registered: do_int3() asks it before the probes, as the kernel does.
        var probes = new Kprobes(run.Kernel);
        var probe = new Kprobe(run.Kernel, "kprobe", Probed);
        var armed = new KernelVariable<bool>("armed", false);
        var (patching, executing) = (run.Machine.Cpus[0], run.Machine.Cpus[1]);
        patching.Start("register_kprobe", [KernelStep.Call(probes.Register(probe)), armed.Store(true)]);
        executing.StartGuest(Probed, new(executing.Registers[4]));
        executing.Start("wait for the probe", [armed.SpinUntil("is true", isArmed => isArmed)]);
    }
}
