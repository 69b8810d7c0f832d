using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>A page of code and one of stack.</summary>
internal abstract class SmallScenario : Scenario
{
    protected static readonly GuestAddress Code = new(0xffffffff81000000), Stack = new(0xffffffff82000000), Return = new(0xffffffff81000f00);

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(Return, [0xf4]); // hlt
        machine.GuestCallReturn = Return;
    }

    protected static IEnumerable<KernelStep> Patch(ScenarioRun run, IPatchProtocol protocol)
    {
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(protocol.Attach(run.Kernel).Apply(context, run.Sites));
        yield return run.MarkPatched();
        yield return context.TextMutex.Release();
    }
}

/// <summary>A CPU reads a descriptor's pointer, then the descriptor; another takes the pointer away, waits or does not, and frees it.</summary>
internal sealed class DescriptorScenario(bool waits) : SmallScenario
{
    public override string Name => "descriptor";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.DescriptorOutlivesHandlers;

    public override void Begin(ScenarioRun run)
    {
        var descriptor = KernelHeap.In(run.Kernel).Allocate("descriptor", 1);
        var pointer = new KernelVariable<bool>("pointer", true);
        var readers = new KernelVariable<int>("readers", 0);
        run.Machine.Cpus[0].Start("writer", Free());
        run.Machine.Cpus[1].Start("reader", Use());

        IEnumerable<KernelStep> Free()
        {
            yield return pointer.Store(false);
            if (waits) yield return readers.SpinUntil("is 0", n => n == 0);
            yield return descriptor.Free();
        }

        IEnumerable<KernelStep> Use()
        {
            yield return readers.Update("+ 1", n => n + 1);
            var load = pointer.Load();
            yield return load;
            if (load.Value) yield return descriptor.Load();
            yield return readers.Update("- 1", n => n - 1);
        }
    }
}

/// <summary>A call is written over five bytes, which are one instruction or five of them, while a task is in there or was taken off its CPU.</summary>
internal sealed class InsideScenario(bool isOneInstruction, bool preempts) : SmallScenario
{
    private static readonly byte[] Nops = [0x90, 0x90, 0x90, 0x90, 0x90], Nop5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];

    private byte[] Old => isOneInstruction ? Nop5 : Nops;

    public override string Name => "inside";

    public override bool ReportsOnlyWhatIsChecked => true;

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NobodyInside;

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        machine.Memory.Load(Code, [.. Old, 0xb8, GuestGate.Exit, 0, 0, 0, 0x0f, 0x05]); // mov eax, exit; syscall
        machine.Memory.Load(Code + 128, [0xeb, 0xfe]); // jmp to itself
        machine.Memory.Load(Code + 256, [0xc3]);
    }

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Code, Old, [0xe8, 0xfb, 0, 0, 0]));
        var tasks = KernelTasks.In(run.Kernel);
        var cpu = run.Machine.Cpus[1];
        cpu.StartGuest(Code, Stack + 1024);
        if (!preempts)
        {
            run.Machine.Cpus[0].Start("patcher", Patch(run, Protocols.TextPokeBp));
            return;
        }

        var other = tasks.Spawn(cpu, "other", Code + 128, Stack + 2048);
        cpu.ArmInterrupt("timer", tasks.Preempt);
        run.Machine.Cpus[0].Start("patcher", AfterPreemption());

        // The other task is on the CPU and stays there: so an RIP inside can only be that of the task that was preempted, whichever violation is found first.
        IEnumerable<KernelStep> AfterPreemption()
        {
            yield return other.Status.SpinUntil("is running", s => s.State == TaskState.Running);
            yield return KernelStep.Call(Patch(run, Protocols.TextPokeBp));
        }
    }
}

/// <summary>The handler of #BP calls a function, and an NMI may come in while it runs.</summary>
internal sealed class NestedInt3Scenario(bool callsPatched, bool inNmi) : SmallScenario
{
    public override string Name => "nested int3";

    public override int Cpus => 1;

    public override Invariants CheckedUnder(FetchModel model) => Invariants.HandlerIsNotPatched;

    public override void LayOut(SmpMachine machine)
    {
        base.LayOut(machine);
        machine.Memory.Load(Code, [0xcc, 0x0f, 0x05]); // int3; syscall
        machine.Memory.Load(Code + 16, [0xcc, 0xc3]); // int3; ret
        machine.Memory.Load(Code + 32, [0x90, 0xc3]); // nop; ret
        machine.SystemCall = cpu => cpu.StopGuest();
    }

    public override void Begin(ScenarioRun run)
    {
        run.Kernel.RegisterInt3Handler(Handle);
        run.Machine.Cpus[0].StartGuest(Code, Stack + 2048);
        if (inNmi) run.Machine.Cpus[0].ArmInterrupt("NMI", CallPatched, isNmi: true);
    }

    private static IEnumerable<KernelStep> CallPatched(Cpu cpu)
    {
        cpu.KeepNmiFrame();
        yield return new CallGuest(Code + 16);
    }

    private IEnumerable<KernelStep> Handle(Cpu cpu, TrapFrame regs)
    {
        regs.Consumed = true;
        if (regs.Rip - 1 == Code) yield return new CallGuest(callsPatched ? Code + 16 : Code + 32);
    }
}
