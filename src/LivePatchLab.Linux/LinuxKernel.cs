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

    public LinuxKernel(SmpMachine machine)
    {
        Machine = machine;
        machine.SetTrapHandler(TrapVector.Breakpoint, DoInt3);
    }

    public SmpMachine Machine { get; }

    /// <summary>Serialises all who change kernel text (kernel/extable.c).</summary>
    public KernelLock TextMutex { get; } = new("text_mutex");

    public FaultInjection Faults { get; set; } = new();

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
        var made = make(this);
        if (GlobalsOrNull<T>() is not null) throw new InvalidOperationException($"the making of {typeof(T).Name} has made another one");
        _globals.Add((typeof(T), made));
        return made;
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

    internal bool StoreText(Cpu cpu, GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        if (!cpu.Machine.TryStoreCode(cpu, address, bytes)) return false;
        TextBytesWritten += bytes.Length;
        return true;
    }

    /// <summary>do_int3() of arch/x86/kernel/traps.c, v3.12: asks one handler after the other; the CPU dies of what nobody consumes.</summary>
    private IEnumerable<KernelStep> DoInt3(Cpu cpu, TrapFrame regs)
    {
        yield return new Delay(Machine.Costs.BreakpointHandler, "do_int3");
        foreach (var handler in _int3Handlers)
        {
            yield return KernelStep.Call(handler(cpu, regs));
            if (regs.Consumed) yield break;
        }
    }
}
