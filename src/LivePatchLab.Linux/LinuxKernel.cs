using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A handler that do_int3() asks: consumes the #BP by setting <see cref="TrapFrame.Consumed"/>, or leaves it to the next.</summary>
public delegate IEnumerable<KernelStep> Int3Handler(Cpu cpu, TrapFrame regs);

/// <summary>What a patcher stands on: the parts of a Linux kernel that patching needs, running on an emulated machine.</summary>
public sealed class LinuxKernel
{
    private readonly List<Int3Handler> _int3Handlers = [];

    /// <summary>Few: a search makes a kernel for every execution, and asks for one or two.</summary>
    private readonly List<(Type Kind, object Variables)> _globals = [];

    /// <summary>Those of before this boot that can be used again.</summary>
    private readonly List<(Type Kind, IKernelGlobals Variables)> _kept = [];
    private readonly FaultInjection _faults = new();
    private readonly TrapHandler _doInt3;
    private readonly Delay _entry;

    public LinuxKernel(SmpMachine machine)
    {
        Machine = machine;
        Faults = _faults;
        _doInt3 = DoInt3;
        _entry = new(machine.Costs.BreakpointHandler, "do_int3");
        machine.SetTrapHandler(TrapVector.Breakpoint, _doInt3);
    }

    public SmpMachine Machine { get; }

    /// <summary>Serialises all who change kernel text (kernel/extable.c).</summary>
    public KernelLock TextMutex { get; } = new("text_mutex");

    public FaultInjection Faults { get; set; }

    /// <summary>Rounds in which every CPU was made to serialise.</summary>
    public long SyncRounds { get; internal set; }

    /// <summary>Bytes of text written.</summary>
    public long TextBytesWritten { get; private set; }

    /// <summary>What BUG_ON() found, or null: the kernel is no longer to be trusted.</summary>
    public string? Bug { get; private set; }

    /// <summary>What sort of thing <see cref="Bug"/> tells of; of no meaning where it is null.</summary>
    public BugKind BugKind { get; private set; }

    /// <summary>The first use of a variable on a stack frame that was gone, or null. No kernel notices; the lab does.</summary>
    public string? UseAfterReturn { get; internal set; }

    /// <summary>The one set of global variables of a kind that this kernel has; made when first asked for.</summary>
    public T Globals<T>(Func<LinuxKernel, T> make)
        where T : class
    {
        if (GlobalsOrNull<T>() is { } globals) return globals;
        var made = KeptOrNull<T>() ?? make(this);
        (made as IKernelGlobals)?.Boot(this);
        if (GlobalsOrNull<T>() is not null) throw new InvalidOperationException($"the making of {typeof(T).Name} has made another one");
        _globals.Add((typeof(T), made));
        return made;
    }

    /// <summary>
    /// Boots again, on its machine that was brought back to where it was before: nothing is registered, nothing has happened. Whatever belongs to the time before,
    /// steps and routines among it, is not to be used any more; <see cref="IKernelGlobals"/> are, once they are asked for.
    /// </summary>
    public void Restart()
    {
        foreach (var (kind, variables) in _globals)
            if (variables is IKernelGlobals kept && !IsKept(kind)) _kept.Add((kind, kept));
        _globals.Clear();
        _int3Handlers.Clear();
        TextMutex.Restart();
        Faults = _faults;
        _faults.Restart();
        SyncRounds = 0;
        TextBytesWritten = 0;
        Bug = null;
        BugKind = default;
        UseAfterReturn = null;
        Machine.SetTrapHandler(TrapVector.Breakpoint, _doInt3);
    }

    /// <summary>Asks a handler about every #BP, after those that were registered before it.</summary>
    public void RegisterInt3Handler(Int3Handler handler) => _int3Handlers.Add(handler);

    public void UnregisterInt3Handler(Int3Handler handler) => _int3Handlers.Remove(handler);

    /// <summary>The same, or null where nobody has asked for it: for those who only look.</summary>
    public T? GlobalsOrNull<T>()
        where T : class
    {
        foreach (var (kind, variables) in _globals)
            if (kind == typeof(T)) return (T)variables;
        return null;
    }

    /// <summary>BUG_ON(), or an oops: a step that stops the machine.</summary>
    /// <param name="what">In words, with the place.</param>
    /// <param name="kind">What sort of thing was met.</param>
    public KernelStep RaiseBug(string what, BugKind kind = BugKind.Assertion)
    {
        if (Bug is null) BugKind = kind;
        Bug ??= what;
        return new StopRun($"BUG: {what}");
    }

    private bool IsKept(Type kind)
    {
        foreach (var (known, _) in _kept)
            if (known == kind) return true;
        return false;
    }

    private T? KeptOrNull<T>()
        where T : class
    {
        foreach (var (kind, variables) in _kept)
            if (kind == typeof(T)) return (T)variables;
        return null;
    }

    internal bool StoreText(Cpu cpu, GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        if (!cpu.Machine.TryStoreCode(cpu, address, bytes)) return false;
        TextBytesWritten += bytes.Length;
        return true;
    }

    /// <summary>do_int3() of arch/x86/kernel/traps.c, v3.12: asks one handler after the other; the CPU dies of what nobody consumes.</summary>
    private IEnumerable<KernelStep> DoInt3(Cpu cpu, TrapFrame regs)
    {
        yield return _entry;
        foreach (var handler in _int3Handlers)
        {
            yield return KernelStep.Call(handler(cpu, regs));
            if (regs.Consumed) yield break;
        }
    }
}
