using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B15: a jump is written over two instructions, and a task is parked in front of the second. All syncs are done, and help nothing: only a wait until
/// every task has been elsewhere does.
/// </summary>
internal sealed class JumpOverTwoInstructions(KprobesOptions options) : ProbedCode
{
    public override string Name => $"a probe of two instructions becomes a jump{(options.WaitsForTasks ? "" : ", with no wait for tasks")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NobodyInside;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, SiteCode.ToArray(), newCode: null));
        var probes = new Kprobes(run.Kernel, options);
        var probe = new Kprobe(run.Kernel, "kprobe", Site);
        PreemptedTask.Start(run, Site, StackTop, probes.Register(probe), probes.Optimise(run.Machine.Cpus[0], probe));
    }

    public override IEnumerable<Checker> MakeCheckers() => [new NobodyParkedInside()];
}

/// <summary>
/// B16: a static call that had no target comes to have one, at a tail call's site: a jump is written where a task may stand in front of the second of two
/// instructions. As one instruction, RET with padding, there is no such place.
/// </summary>
/// <param name="empty">What stands at the site while there is no target: five bytes.</param>
internal sealed class StaticCallGetsTarget(byte[] empty) : Scenario
{
    private static readonly GuestAddress Text = new(0xffffffff81000000), Site = Text + 0x100, Target = Text + 0x200, Caller = Text + 0x300, Stack = new(0xffffffff82000000);

    /// <summary>xor eax, eax; ret.</summary>
    public static byte[] XorAndReturn => [0x31, 0xc0, 0xc3, 0xcc, 0xcc];

    public static byte[] Return => [0xc3, 0xcc, 0xcc, 0xcc, 0xcc];

    public override string Name => $"{Convert.ToHexStringLower(empty)} becomes a jump";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NobodyInside | Invariants.TrapsAreConsumed;

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Text, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(Site, empty);
        machine.Memory.Load(Target, [0xc3]);
        machine.Memory.Load(Caller, [0xe8, .. Displacement(Caller, Site), 0xb8, GuestGate.Exit, 0x00, 0x00, 0x00, 0x0f, 0x05]);
        machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        PreemptedTask.LayOut(machine);
    }

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, empty, [0xe9, .. Displacement(Site, Target)]));
        var patcher = Protocols.TextPokeBpEmulate.Attach(run.Kernel);
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        PreemptedTask.Start(run, Caller, Stack + 0x400, [], [context.TextMutex.Acquire(), KernelStep.Call(patcher.Apply(context, run.Sites)), context.TextMutex.Release()]);
    }

    public override IEnumerable<Checker> MakeCheckers() => [new NobodyParkedInside()];

    private static byte[] Displacement(GuestAddress from, GuestAddress to)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, checked((int)(to - (from + 5))));
        return bytes;
    }
}
