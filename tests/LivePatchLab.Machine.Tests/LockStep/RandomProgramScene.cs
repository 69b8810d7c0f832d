using LivePatchLab.Experiments;
using LivePatchLab.Linux;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// One to four CPUs that execute a <see cref="RandomProgram"/> under any of the fetch models, with handlers that go on behind whatever faulted; meanwhile the program's
/// text may be changed, by the host through an alias, by a kernel routine with or without synchronisation, and by the program itself; or IPIs with sync_core() rain on them.
/// Those are taken, and what may have several versions is fetched, in few acts where nobody looks on; so somebody does in the machine that the others are compared with.
/// </summary>
internal sealed class RandomProgramScene : LockStepScene
{
    private readonly ProgramLayout _layout;
    private readonly RandomProgram _program;
    private readonly bool _isUser;

    /// <summary>One quantum in so many begins with a store to code; 0 for none.</summary>
    private readonly int _quantaPerStore;

    private readonly bool _isInterrupted;
    private readonly KernelVariable<int> _variable = new("rounds", 0);

    private KernelRoutine? _patcher;
    private KernelRoutine? _spinner;
    private int _rounds;

    public RandomProgramScene(ulong seed, TestedEngine engine, bool isPatched, bool isInterrupted = false, long translationBytesMax = CodeRegion.SlotBytes) : base(seed)
    {
        var options = new MachineOptions
        {
            Cpus = isInterrupted ? Draw.Of(2, 3, 4, 8) : isPatched ? Draw.Of(1, 2, 3, 4) : Draw.Of(1, 1, 1, 2, 4),
            Fetch = isPatched ? Draw.Of<FetchModel>([.. FetchModel.Presets]) : FetchModel.Ideal,
            Choices = new SeededChoices(new(seed)),
            QuantumCyclesMax = Draw.Of(3, 30, 300, 3_000, 30_000, 100_000),
            Engine = engine.Kind,
            Host = engine.Host,
            TranslationBytesMax = translationBytesMax,
            HotInstructions = SoonHot,
            MemoryOrder = isInterrupted ? Draw.Of(MemoryOrder.SequentiallyConsistent, MemoryOrder.TotalStoreOrder) : MemoryOrder.SequentiallyConsistent,
            Costs = isInterrupted ? Draw.Of(CostPreset.Unit, CostPreset.Quiet4).Costs : CostModel.Unit,
        };
        Machine = new(options);
        _isInterrupted = isInterrupted;
        if (isInterrupted && engine.Kind == ExecutionEngine.Interpreter)
        {
            Machine.Events.HandlerLeft += delegate { };
            Machine.Events.DirtyFetched += delegate { };
        }

        _isUser = Draw.OneIn(4);
        _quantaPerStore = isPatched ? 1 + Draw.Below(4) : 0;
        _layout = new(Draw);
        _program = new(Draw, _layout);
        _layout.MapInto(Machine, _program, Draw);
        for (var vector = TrapVector.DivideError; vector <= TrapVector.PageFault; vector++) Machine.SetTrapHandler(vector, GoOn);
        Machine.SystemCall = cpu => cpu.Rax ^= cpu.Rdi + 1;
        foreach (var cpu in Machine.Cpus) Start(cpu);
        Description = $"{options.Cpus} CPUs, {options.Fetch.Name}, quantum {options.QuantumCyclesMax}, {(_isUser ? "user" : "kernel")}, {_program.Slots.Count} slots, code {_layout.Code} to {_program.End}";
    }

    public override SmpMachine Machine { get; }

    public override string Description { get; }

    public override void BeforeQuantum()
    {
        foreach (var cpu in Machine.Cpus)
        {
            // One that has halted, was stopped by a fault, or has lost its way in random bytes begins again.
            if (cpu.Activity != CpuActivity.Guest || Draw.OneIn(200)) Start(cpu);
        }

        if (_isInterrupted) Interrupt();
        else if (_quantaPerStore > 0 && _program.Slots.Count > 0 && Draw.OneIn(_quantaPerStore)) ChangeCode();
    }

    private void ChangeCode()
    {
        var slot = _program.Slots[Draw.Below(_program.Slots.Count)];
        var writer = Machine.Cpus[Draw.Below(Machine.Cpus.Count)];
        if (Draw.OneIn(2)) Machine.TryStoreCode(writer, slot, _program.SlotContents(slot, Draw));
        else if (_patcher is null or { IsComplete: true }) _patcher = writer.Start("patcher", Patch(slot, _program.SlotContents(slot, Draw), Draw.Below(8)));
    }

    /// <summary>INT3, tail, first byte, and after each of them, where the bits of <paramref name="syncs"/> say so, an IPI that everybody answers.</summary>
    private static IEnumerable<KernelStep> Patch(GuestAddress slot, byte[] content, int syncs)
    {
        (GuestAddress At, byte[] Bytes)[] stores = [(slot, [0xcc]), (slot + 1, content[1..]), (slot, content[..1])];
        for (var i = 0; i < stores.Length; i++)
        {
            yield return new StoreCode(stores[i].At, stores[i].Bytes, costCycles: 20);
            if ((syncs >> i & 1) == 0) continue;
            yield return SyncCore.Here;
            yield return new CallFunction(new NoFunction(), wait: false);
            yield return new Delay(500);
        }
    }

    /// <summary>One CPU stores code and has all others serialise, again and again; a second stores a variable, and a third waits for that, so it shows when the second's store buffer has drained.</summary>
    private void Interrupt()
    {
        if (_patcher is { IsComplete: false } || _spinner is { IsComplete: false }) return;
        var cpus = Machine.Cpus.Count;
        var first = Draw.Below(cpus);
        if (cpus > 2)
        {
            _spinner = Machine.Cpus[(first + 2) % cpus].Start("spinner", [_variable.SpinUntil("is stored", value => value == _rounds)]);
            Machine.Cpus[(first + 1) % cpus].Start("writer", [new Delay(Draw.Below(2000)), _variable.Store(++_rounds)]);
        }

        var steps = Synchronise(Draw.Of(10, 100, 1000), Draw.Below(600), wait: !Draw.OneIn(3));
        if (_program.Slots.Count > 0)
        {
            var slot = _program.Slots[Draw.Below(_program.Slots.Count)];
            steps = steps.Prepend(new StoreCode(slot, _program.SlotContents(slot, Draw), costCycles: 20));
        }

        _patcher = Machine.Cpus[first].Start("patcher", steps);
    }

    /// <summary>Round after round of sync_core() on all CPUs, with a pause behind each or none, answered by all before the next or not.</summary>
    private static IEnumerable<KernelStep> Synchronise(int rounds, int pauseCycles, bool wait)
    {
        for (var i = 0; i < rounds; i++)
        {
            yield return SyncCore.Here;
            yield return new CallFunction(DoSyncCore.Function, wait);
            if (pauseCycles > 0) yield return new Delay(pauseCycles);
        }
    }

    private void Start(Cpu cpu)
    {
        cpu.StartGuest(_program.Entry, _layout.StackTop(cpu.Id.Index), _isUser);
        Restore(cpu);
    }

    /// <summary>What the program relies on, in case it was lost.</summary>
    private void Restore(Cpu cpu)
    {
        for (var i = 0; i < _program.Pointers.Count; i++) cpu.Registers[_program.Pointers[i]] = _program.PointerValues[i];
        cpu.GsBase = _layout.GsBase(cpu.Id.Index);
        cpu.FsBase = _layout.FsBase;
    }

    /// <summary>On behind the instruction that faulted; from the beginning where that is none of the program's.</summary>
    private IEnumerable<KernelStep> GoOn(Cpu cpu, TrapFrame frame)
    {
        frame.Consumed = true;
        frame.Rflags &= ~(ulong)SystemFlag.Trap;
        if (frame.Vector is TrapVector.Breakpoint or TrapVector.Overflow or TrapVector.Debug) yield break;
        Restore(cpu);
        if (_program.Behind(frame.Rip) is { } next)
        {
            frame.Rip = next;
            yield break;
        }

        frame.Rip = _program.Entry;
        frame.Rsp = _layout.StackTop(cpu.Id.Index);
    }
}
