using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>A situation's variables where stores go through store buffers.</summary>
internal sealed class LitmusVariables(LitmusSituation situation) : IKernelGlobals
{
    private readonly Dictionary<string, KernelVariable<long>> _variables = situation.Variables.ToDictionary(v => v.Name, v => new KernelVariable<long>(v.Name, v.Initial));

    public KernelVariable<long> Of(string name) => _variables[name];

    public void Boot(LinuxKernel kernel)
    {
        foreach (var variable in _variables.Values) variable.Restart();
    }
}

/// <summary>The kernel side of one execution after the other: its patchers, its steps, and the #BP handler of those.</summary>
internal sealed class LitmusKernel
{
    private readonly ScenarioRun _run;
    private readonly LitmusSituation _situation;
    private readonly LitmusLayout _layout;
    private readonly PatchSite[] _sites;

    /// <summary>By CPU: the sites that its patcher patches.</summary>
    private readonly PatchSite[]?[] _sitesOf;
    private readonly PatchContext?[] _contexts;
    private readonly Func<LinuxKernel, LitmusVariables> _makeVariables;
    private readonly Int3Handler? _handler;
    private LitmusVariables _variables = null!;
    private readonly KernelVariable<bool> _patching = new("patching", false);

    /// <summary>Counts the stores to code, for handlers that wait for the next.</summary>
    private readonly KernelVariable<int> _stores = new("stores", 0);
    private readonly Dictionary<IPatchProtocol, IPatcher> _patchers = [];
    private readonly bool _wakesHandlers;
    private readonly KernelVariable<int> _returned = new("returned", 0);
    private readonly int _returns;
    private readonly LitmusFault[] _faults;

    public LitmusKernel(ScenarioRun run, LitmusSituation situation, LitmusLayout layout)
    {
        _run = run;
        _situation = situation;
        _layout = layout;
        _sites = [.. layout.Sites.Select(site => new PatchSite(site.Address, site.Old, site.New))];
        (_sitesOf, _contexts) = (new PatchSite[]?[situation.Cpus], new PatchContext?[situation.Cpus]);
        _makeVariables = _ => new(situation);
        _faults = [.. situation.Faults];
        _wakesHandlers = situation.Handler is LitmusHandler.Retry or LitmusHandler.Spin;
        _returns = situation.Programs.Values.Sum(p => p is LitmusPatcher ? 1 : p is LitmusSteps steps ? steps.Steps.Count(s => s is LitmusPlainStep { Kind: LitmusPlainStepKind.Return }) : 0);
        if (situation.Handler is { } what && situation.Programs.Values.Any(p => p is LitmusSteps)) _handler = (cpu, regs) => Handle(what, cpu, regs);
    }

    private bool IsBuffered => _situation.Order != MemoryOrder.SequentiallyConsistent;

    /// <summary>Everything as at the beginning of an execution.</summary>
    public void Restart()
    {
        _run.AddAgain(_sites);
        foreach (var fault in _faults) _run.Kernel.Faults.Fail(fault.Point, fault.Ordinal, fault.Errno);
        _variables = _run.Kernel.Globals(_makeVariables);
        _patching.Restart();
        _stores.Restart();
        _returned.Restart();
        _patchers.Clear();
        if (_handler is not null) _run.Kernel.RegisterInt3Handler(_handler);
    }

    /// <summary>A protocol of the lab, under text_mutex.</summary>
    public IEnumerable<KernelStep> Patch(Cpu cpu, LitmusPatcher program)
    {
        if (!_patchers.TryGetValue(program.Protocol, out var patcher)) _patchers.Add(program.Protocol, patcher = program.Protocol.Attach(_run.Kernel));
        var context = ContextOf(cpu);
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(patcher.Apply(context, _sitesOf[cpu.Id.Index] ??= SitesOf(program)));
        _run.HasFailed |= context.Failure is not null;
        _run.NoteRefusal(context.Failure);
        yield return KernelStep.Call(Returned());
        yield return context.TextMutex.Release();
    }

    /// <summary>Steps as they are written.</summary>
    public IEnumerable<KernelStep> Run(Cpu cpu, LitmusSteps program)
    {
        var context = ContextOf(cpu);
        foreach (var step in program.Steps)
        {
            switch (step)
            {
                case LitmusStore store:
                    foreach (var part in Stores(store))
                    {
                        yield return part;
                        if (_wakesHandlers) yield return _stores.Update("+ 1", n => n + 1);
                    }

                    break;
                case LitmusMaintain maintain:
                    yield return new InvalidateInstructionCache(_layout[maintain.Site].Address, _layout[maintain.Site].Old.Length, 0);
                    break;
                case LitmusDelay delay:
                    yield return new Delay(delay.Cycles);
                    break;
                case LitmusSet set:
                    yield return Set(set);
                    break;
                case LitmusGet get when IsBuffered:
                    var load = _variables.Of(get.Variable).Load();
                    yield return load;
                    cpu[get.Register] = (ulong)load.Value;
                    break;
                case LitmusGet get:
                    yield return new ReadMemory(get.Register, get.Variable, _layout.AddressOf(get.Variable));
                    break;
                case LitmusAwait wait:
                    yield return _variables.Of(wait.Variable).SpinUntil($"is {wait.Value}", value => value == wait.Value);
                    break;
                case LitmusPlainStep { Kind: LitmusPlainStepKind.Return }:
                    yield return KernelStep.Call(Returned());
                    break;
                case LitmusPlainStep plain:
                    yield return Plain(context, plain.Kind);
                    break;
            }
        }
    }

    private PatchSite[] SitesOf(LitmusPatcher program)
        => program.Sites.Count == 0 ? _sites : [.. _sites.Where(s => program.Sites.Any(n => _layout[n].Address == s.Address))];

    /// <summary>Each CPU runs one program, so each has one context, in every execution the same.</summary>
    private PatchContext ContextOf(Cpu cpu)
    {
        var context = _contexts[cpu.Id.Index] ??= new(_run.Kernel, cpu);
        context.Failure = null;
        return context;
    }

    /// <summary>What all patchers have done together counts only once the last of them has returned.</summary>
    private IEnumerable<KernelStep> Returned()
    {
        if (_returns > 1) yield return _returned.Update("+ 1", n => n + 1);
        if (_returns <= 1 || _returned.Value == _returns) yield return _run.MarkPatched();
    }

    private KernelStep Plain(PatchContext context, LitmusPlainStepKind kind) => kind switch
    {
        LitmusPlainStepKind.Sync => context.RunSync(),
        LitmusPlainStepKind.SyncHere => SyncCore.Here,
        LitmusPlainStepKind.FenceRead => Fence.Read,
        LitmusPlainStepKind.FenceWrite => Fence.Write,
        LitmusPlainStepKind.FenceFull => Fence.Full,
        LitmusPlainStepKind.Publish => _patching.Store(true),
        LitmusPlainStepKind.Retract => _patching.Store(false),
        LitmusPlainStepKind.InterruptsOff => InterruptFlag.Off,
        LitmusPlainStepKind.InterruptsOn => InterruptFlag.On,
        LitmusPlainStepKind.Lock => context.TextMutex.Acquire(),
        LitmusPlainStepKind.Unlock => context.TextMutex.Release(),
        _ => throw new InvalidOperationException($"nobody knows how to do {kind}"),
    };

    private IEnumerable<KernelStep> Stores(LitmusStore store)
    {
        var site = _layout[store.Site];
        var bytes = site.BytesFor(store);
        var at = site.Address + store.Start;
        if (!store.IsByteByByte) return [new StoreCode(at, bytes, 0)];
        return bytes.Select((value, i) => new StoreCode(at + i, new[] { value }, 0));
    }

    /// <summary>
    /// Guest code sees variables in memory, steps that wait see them as kernel variables: where nothing is buffered, both are written as one.
    /// </summary>
    private KernelStep Set(LitmusSet set)
    {
        var variable = _variables.Of(set.Variable);
        if (IsBuffered) return variable.Store(set.Value);
        var (machine, address) = (_run.Machine, _layout.AddressOf(set.Variable));
        return variable.Update($"= {set.Value}", _ =>
        {
            machine.Memory.LoadUInt64(address, (ulong)set.Value);
            machine.Accesses?.Write(AccessLog.AnyData);
            return set.Value;
        });
    }

    private IEnumerable<KernelStep> Handle(LitmusHandler what, Cpu cpu, TrapFrame regs)
    {
        yield return Fence.Read;
        var patching = _patching.Load();
        yield return patching;
        if (!patching.Value || _layout.Sites.FirstOrDefault(s => s.Address == regs.Rip - 1) is not { } site) yield break;
        switch (what)
        {
            case LitmusHandler.Skip:
                regs.Rip = site.Address + site.Old.Length;
                break;
            case LitmusHandler.EmulateNew:
                Emulate(site, site.Site.New, cpu, regs);
                break;
            case LitmusHandler.EmulateOld:
                Emulate(site, site.Site.Old, cpu, regs);
                break;
            default:
                if (what == LitmusHandler.Retry) yield return InterruptFlag.On;
                var memory = _run.Machine.Memory;
                yield return _stores.SpinUntil("the int3 is gone", _ => memory.Read(site.Address, 1)[0] != BreakpointState.Int3);
                regs.Rip = site.Address;
                break;
        }

        regs.Consumed = true;
    }

    /// <summary>What the site's one instruction would do: a call pushes where it returns to.</summary>
    private static void Emulate(PlacedSite site, LitmusCode code, Cpu cpu, TrapFrame regs)
    {
        var next = site.Address + site.Old.Length;
        var instruction = code.Parts[0];
        regs.Rip = instruction.Opcode == 0 ? next : LitmusLayout.TargetOf(instruction.IsNewFunction);
        if (instruction.Opcode != LitmusCodePart.Call) return;
        regs.Rsp -= 8;
        cpu.Machine.Memory.LoadUInt64(regs.Rsp, next.Value);
    }

    private sealed class ReadMemory(string register, string variable, GuestAddress address) : KernelStep
    {
        public override string Describe() => $"read {variable}";

        protected override long Execute(Cpu cpu)
        {
            cpu.Machine.Accesses?.Read(AccessLog.AnyData);
            cpu[register] = cpu.Machine.Memory.ReadUInt64(address);
            return 0;
        }
    }
}
