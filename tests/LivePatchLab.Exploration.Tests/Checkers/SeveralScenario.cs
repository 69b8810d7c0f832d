using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>One site of any code, at the beginning of a line: CPU 1 jumps to it and goes through it, while CPU 0 does what it is told.</summary>
internal sealed class SeveralScenario(byte[] old, byte[] @new, PatchSteps steps, Invariants what) : Scenario
{
    private const int VisitsRegister = 3;

    private static readonly GuestAddress Code = new(0xffffffff81000000), Stack = new(0xffffffff82000000);
    private static readonly GuestAddress Site = Code + 0x100, WayIn = Code + 0x40, Done = Code + 0x200, Return = Code + 0xf00;

    public int Visits { get; init; } = 1;

    /// <summary>An interrupt may come in, whose handler stores the new code and then goes through the site.</summary>
    public bool Interrupts { get; init; }

    /// <summary>What stands behind the site instead of the way back.</summary>
    public byte[]? Behind { get; init; }

    public Int3Handler? Handler { get; init; }

    /// <summary>Checkers instead of the lab's.</summary>
    public Func<IEnumerable<Checker>>? Instead { get; init; }

    public override string Name => $"{Convert.ToHexStringLower(old)} -> {Convert.ToHexStringLower(@new)}";

    public override bool ReportsOnlyWhatIsChecked => Instead is not null || (what & Invariants.NothingTorn) == 0;

    public override Invariants CheckedUnder(FetchModel model) => Instead is null ? what : Invariants.None;

    public override IEnumerable<Checker> MakeCheckers() => Instead?.Invoke() ?? [];

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(WayIn, [0xe9, .. BitConverter.GetBytes((int)(Site - WayIn - 5))]);

        // dec ebx; jnz to the way in; ret
        var end = Site + old.Length;
        machine.Memory.Load(end, Behind ?? [0xff, 0xcb, 0x0f, 0x85, .. BitConverter.GetBytes((int)(WayIn - end - 8)), 0xc3]);
        machine.Memory.Load(Site, old);
        machine.Memory.Load(Done, [0x0f, 0x05]); // syscall
        machine.Memory.Load(Return, [0xf4]); // hlt
        machine.Memory.LoadUInt64(Stack + 0x800, Done.Value);
        machine.GuestCallReturn = Return;
        machine.SystemCall = cpu => cpu.StopGuest();
    }

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, old, @new));
        if (Handler is not null) run.Kernel.RegisterInt3Handler(Handler);
        run.Machine.Cpus[0].Start("patcher", run.Patch(new IteratorProtocol("steps", steps)));
        var cpu = run.Machine.Cpus[1];
        cpu.Registers[VisitsRegister] = (ulong)Visits;
        cpu.StartGuest(WayIn, Stack + 0x800);
        if (Interrupts) cpu.ArmInterrupt("interrupt", StoreAndGoThrough);
    }

    /// <summary>Once, and RBX is what it was.</summary>
    private IEnumerable<KernelStep> StoreAndGoThrough(Cpu cpu)
    {
        yield return new StoreCode(Site, @new, 0);
        var visits = cpu.Registers[VisitsRegister];
        cpu.Registers[VisitsRegister] = 1;
        yield return new CallGuest(WayIn);
        cpu.Registers[VisitsRegister] = visits;
    }
}
