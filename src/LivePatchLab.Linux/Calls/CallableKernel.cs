using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// A kernel image in a machine whose functions can be called by name, as they are before the kernel boots: nothing is patched, as
/// the return thunks, retpolines, static calls and alternatives of an image work in the form in which they were linked.
/// </summary>
/// <remarks>
/// <code>
/// var kernel = CallableKernel.Open("/boot/vmlinuz-6.1.0-56-cloud-amd64");
/// var text = kernel.Text("hello");
/// kernel.Call("crc32_le", 0, text, 5)
/// </code>
/// There is memory and nothing else: what allocates (no slab), sleeps, or asks for "current" faults or goes astray, and says so.
/// What is laid behind the image:
/// <code>
/// code            where calls return to, then <see cref="Code"/>              read, execute
/// per CPU         an unmapped page, a stack of THREAD_SIZE                    read, write
/// per CPU but 0   a copy of the per-CPU area; CPU 0 has that of the image     read, write
/// buffers         as many as are asked for, zeroed                            read, write
/// </code>
/// </remarks>
public sealed class CallableKernel
{
    /// <summary>A call that takes more instructions than this is taken for one that never returns.</summary>
    public const long StepsMaxDefault = 1_000_000_000;

    private const int CodeBytes = 64 << 10, CodeAlignment = 64, BufferAlignment = 64, BuffersGrowBytes = 1 << 20;

    /// <summary>THREAD_SIZE of arch/x86/include/asm/page_64_types.h.</summary>
    private const int StackBytes = 16 << 10;

    private const long StackStride = StackBytes + GuestMemory.PageBytes;

    /// <summary>Where struct pcpu_hot has cpu_number (arch/x86/include/asm/current.h, 6.2 to 6.14): behind current_task and preempt_count.</summary>
    private const int CpuNumberInPcpuHot = 12;

    /// <summary>How long the machine runs between two looks at whether the calls are done.</summary>
    private const long SliceCycles = 1_000_000;

    /// <summary>Where the first arguments go, as the encoding numbers the registers: RDI, RSI, RDX, RCX, R8, R9 (System V ABI, AMD64 supplement, 3.2.3).</summary>
    private static readonly int[] ArgumentRegisters = [7, 6, 2, 1, 8, 9];

    // hlt; jmp back to it, for an interrupt lets a halted CPU go on.
    private static readonly byte[] ReturnCode = [0xf4, 0xeb, 0xfd];

    private readonly GuestMemory _memory;
    private readonly long _slide;
    private readonly GuestAddress _return;
    private readonly GuestAddress _stacks;
    private readonly GuestAddress _buffers;
    private GuestAddress _nextCode;
    private GuestAddress _nextBuffer;
    private GuestAddress _buffersMapped;

    /// <param name="machine">Where the image is laid, unless it is there already.</param>
    /// <param name="image">The kernel.</param>
    /// <exception cref="ArgumentException">The window has no room behind the image.</exception>
    /// <exception cref="BadInputException">The machine has several CPUs, and the image does not say where they keep their numbers.</exception>
    public CallableKernel(SmpMachine machine, KernelImage image)
        : this(machine, image, slide: 0)
    {
    }

    /// <param name="machine">Its memory has the image already, where <paramref name="slide"/> is not 0.</param>
    /// <param name="image">The kernel.</param>
    /// <param name="slide">By how much the image was relocated, as the boot code does for KASLR.</param>
    internal CallableKernel(SmpMachine machine, KernelImage image, long slide)
    {
        Machine = machine;
        Image = image;
        _memory = machine.Memory;
        _slide = slide;
        machine.CodeMap = new KernelCodeMap(image, _memory, slide);
        var text = image.TextBase + slide;
        if (!_memory.IsMapped(text, 1)) image.LoadInto(_memory);

        // Behind whatever lies in the image's half of the window.
        var end = _memory.Regions.Select(r => (int)(r.Start + (r.Length - 1)).Value).Where(last => (last < 0) == ((int)text.Value < 0)).Max();
        _return = new GuestAddress((ulong)(long)end) + 1;
        _stacks = _return + CodeBytes;
        var perCpu = _stacks + (machine.Cpus.Count * StackStride);
        _memory.Map(_return, CodeBytes, PagePermissions.Read | PagePermissions.Execute);
        _memory.Load(_return, ReturnCode);
        _nextCode = _return + CodeAlignment;
        foreach (var cpu in machine.Cpus) _memory.Map(StackTop(cpu) - StackBytes, StackBytes, PagePermissions.Read | PagePermissions.Write);
        _buffers = _nextBuffer = _buffersMapped = LayOutPerCpuAreas(perCpu);
    }

    public SmpMachine Machine { get; }

    public KernelImage Image { get; }

    /// <summary>The most instructions of one call.</summary>
    public long StepsMax { get; set; } = StepsMaxDefault;

    internal (GuestAddress Start, int Length) BuffersInUse => (_buffers, (int)(_nextBuffer - _buffers));

    internal (GuestAddress Start, int Length) FirstStack => (_stacks + GuestMemory.PageBytes, StackBytes);

    internal (GuestAddress Start, int Length) CodeInUse => (_return + CodeAlignment, (int)(_nextCode - _return) - CodeAlignment);

    internal GuestAddress ReturnAddress => _return;

    /// <summary>A kernel on a machine of its own.</summary>
    /// <param name="path">A bzImage or vmlinux.</param>
    /// <param name="cpus">CPUs of the machine.</param>
    /// <exception cref="BadInputException">The file is not there or is no such image.</exception>
    /// <exception cref="UnsupportedInputException">It is packed with a codec that this computer does not have.</exception>
    public static CallableKernel Open(string path, int cpus = 1) => new(new SmpMachine(new MachineOptions { Cpus = cpus }), KernelImage.Open(path));

    /// <summary>The address of a function or variable.</summary>
    /// <exception cref="BadInputException">The kernel has no symbol of this name.</exception>
    public GuestAddress AddressOf(string symbol)
    {
        if (Image.Symbols[symbol] is { } address) return address + _slide;
        throw new BadInputException($"{Image.Release} has no symbol '{symbol}'.{Suggestion.Question(Image.Symbols.All.Select(s => s.Name), symbol)}");
    }

    /// <summary>A zeroed buffer.</summary>
    /// <param name="length">Bytes.</param>
    public KernelBuffer Buffer(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var at = _nextBuffer;
        _nextBuffer = (at + (length + BufferAlignment)).AlignDown(BufferAlignment);
        if (_nextBuffer > _buffersMapped)
        {
            var more = ((_nextBuffer - _buffersMapped) / BuffersGrowBytes * BuffersGrowBytes) + BuffersGrowBytes;
            _memory.Map(_buffersMapped, more, PagePermissions.Read | PagePermissions.Write);
            _buffersMapped += more;
        }

        return new(_memory, at, length);
    }

    /// <summary>A buffer that holds these bytes.</summary>
    public KernelBuffer Buffer(ReadOnlySpan<byte> bytes)
    {
        var buffer = Buffer(bytes.Length);
        buffer.Write(bytes);
        return buffer;
    }

    /// <summary>A C string: UTF-8 with a NUL behind it.</summary>
    public KernelBuffer Text(string text) => Buffer(Encoding.UTF8.GetBytes(text + "\0"));

    /// <summary>Machine code for the kernel to call back, such as a comparison for sort().</summary>
    /// <exception cref="ArgumentException">The 64 KiB that there are for it are full.</exception>
    public GuestAddress Code(ReadOnlySpan<byte> code)
    {
        var at = _nextCode;
        if (code.Length > _stacks - at) throw new ArgumentException($"{code.Length} bytes of code do not fit into the {_stacks - at} that are left", nameof(code));
        _memory.Load(at, code);
        _nextCode = (at + (code.Length + CodeAlignment)).AlignDown(CodeAlignment);
        return at;
    }

    /// <summary>Gives all buffers up: their memory is zeroed and handed out again.</summary>
    public void ReleaseBuffers()
    {
        var (start, length) = BuffersInUse;
        _memory.Load(start, new byte[length]);
        _nextBuffer = _buffers;
    }

    /// <summary>Calls a function on CPU 0, for integers and pointers.</summary>
    /// <param name="function">Its symbol.</param>
    /// <param name="arguments">As many as it takes.</param>
    /// <returns>What became of it; a fault is a result too.</returns>
    /// <exception cref="BadInputException">The kernel has no such function.</exception>
    public CallResult Call(string function, params ReadOnlySpan<KernelArgument> arguments) => CallTogether([new FunctionCall(function, arguments.ToArray())])[0];

    /// <summary>Calls one function on each of the first CPUs, all at once.</summary>
    /// <param name="calls">Those of CPU 0, CPU 1, …</param>
    /// <param name="cancellation">Looked at between quanta.</param>
    /// <returns>What became of each, in their order.</returns>
    /// <exception cref="BadInputException">There are more calls than CPUs, or the kernel has no such function.</exception>
    public IReadOnlyList<CallResult> CallTogether(IReadOnlyList<FunctionCall> calls, CancellationToken cancellation = default)
    {
        if (calls.Count > Machine.Cpus.Count) throw new BadInputException($"{calls.Count} calls at once need as many CPUs; the machine has {Machine.Cpus.Count}");
        GuestAddress[] entries = [.. calls.Select(c => AddressOf(c.Function))];
        var running = new RunningCall[calls.Count];
        var start = Machine.Cpus.Take(calls.Count).Max(c => c.ClockCycles);
        for (var i = 0; i < running.Length; i++) running[i] = Begin(Machine.Cpus[i], entries[i], calls[i], start);

        var limit = start + (StepsMax * Machine.Costs.Instruction.Cycles);
        for (var until = start; until < limit && running.Any(c => c.IsGoingOn);)
        {
            until = Math.Min(limit, until + SliceCycles);
            while (Machine.Run(clockLimitCycles: until, cancellation: cancellation) == MachineStop.Fault)
            {
                // One that faults does not keep the others from going on.
                var fault = Machine.Fault!;
                var faulted = running.FirstOrDefault(c => c.Cpu.Id == fault.Cpu);
                if (faulted is null) throw new BadInputException($"while {running[0].Call.Function} ran: {fault}");
                faulted.Fault = fault;
                faulted.Cpu.StopGuest();
            }
        }

        return [.. running.Select(End)];
    }

    /// <summary>Writes the return address, and behind it the arguments that do not fit into registers, on a CPU's stack; gives RSP.</summary>
    internal GuestAddress PushFrame(Cpu cpu, IReadOnlyList<KernelArgument> arguments)
    {
        var onStack = Math.Max(0, arguments.Count - ArgumentRegisters.Length);

        // Before the call RSP is a multiple of 16.
        var stack = (StackTop(cpu) - (8 * onStack)).AlignDown(16) - 8;
        _memory.LoadUInt64(stack, _return.Value);
        for (var i = 0; i < onStack; i++) _memory.LoadUInt64(stack + (8 * (i + 1)), arguments[ArgumentRegisters.Length + i].Value);
        return stack;
    }

    private RunningCall Begin(Cpu cpu, GuestAddress entry, FunctionCall call, long start)
    {
        var stack = PushFrame(cpu, call.Arguments);
        cpu.Registers.Clear();
        for (var i = 0; i < Math.Min(call.Arguments.Count, ArgumentRegisters.Length); i++) cpu.Registers[ArgumentRegisters[i]] = call.Arguments[i].Value;
        cpu.Rflags = 0x202; // interrupts on, and the bit that is always set
        cpu.StartGuest(entry, stack);

        // Clocks that lie apart would let the CPU that is behind run alone; "at once" means from the same clock on.
        if (cpu.ClockCycles < start) cpu.Start("wait", [new Delay(start - cpu.ClockCycles, "until all CPUs are at the same clock")]);
        return new(cpu, call, cpu.RetiredInstructions);
    }

    private CallResult End(RunningCall running)
    {
        var (cpu, call) = (running.Cpu, running.Call);
        var end = running.Fault is not null ? CallEnd.Faulted
            : cpu.Activity == CpuActivity.Guest ? CallEnd.OutOfSteps
            : cpu.Rip - 1 == _return ? CallEnd.Returned
            : CallEnd.Halted;
        var trouble = end switch
        {
            CallEnd.Returned => null,
            CallEnd.Faulted => $"{call.Function}: {running.Fault!}",
            CallEnd.Halted => $"{call.Function}: {cpu.Id} halted at {Place(cpu.Rip)} and nothing will wake it",
            _ => $"{call.Function}: has not returned after {StepsMax} instructions and is at {Place(cpu.Rip)}; set StepsMax if it needs more",
        };
        cpu.StopGuest();
        return new(call.Function, cpu.Id, end, cpu.Registers[0], cpu.RetiredInstructions - running.RetiredBefore, running.Fault, trouble);
    }

    /// <summary>The symbol and offset; the number where no memory is, as the symbols of the per-CPU segment are those of low addresses.</summary>
    private string Place(GuestAddress address) => _memory.IsMapped(address, 1) ? Image.Symbols.NameOf(address - _slide) : $"0x{address}";

    private GuestAddress StackTop(Cpu cpu) => _stacks + ((cpu.Id.Index + 1) * StackStride);

    /// <summary>
    /// CPU 0 keeps the area of the image, as in early boot; each other gets a copy that knows its own place and number, as
    /// setup_per_cpu_areas() of arch/x86/kernel/setup_percpu.c makes it. Gives the address behind the last.
    /// </summary>
    private GuestAddress LayOutPerCpuAreas(GuestAddress at)
    {
        if (Image.PerCpu is not { } area) return at;

        // The base of GS is what lies between a variable and its symbol.
        var linked = area.Linked.Value == 0 ? area.Linked : area.Linked + _slide;
        var load = area.Load + _slide;
        Machine.Cpus[0].GsBase = new((ulong)(load - linked));
        if (Machine.Cpus.Count == 1) return at;

        // One that is not told its number takes itself for CPU 0, and a lock that several CPUs queue for is never free again.
        var number = Image.Symbols["cpu_number"] ?? (Image.Symbols["pcpu_hot"] + CpuNumberInPcpuHot)
            ?? throw new BadInputException($"{Image.Release} has neither cpu_number nor pcpu_hot, so its CPUs cannot be told their numbers; take a machine of one CPU");
        var content = _memory.Read(load, (int)area.Length);
        foreach (var cpu in Machine.Cpus.Skip(1))
        {
            var offset = (ulong)(at - linked);
            _memory.Map(at, area.Length, PagePermissions.Read | PagePermissions.Write);
            _memory.Load(at, content);
            Tell("this_cpu_off", Image.Symbols["this_cpu_off"] + (at - area.Linked), BitConverter.GetBytes(offset));
            Tell("cpu_number", number + (at - area.Linked), BitConverter.GetBytes(cpu.Id.Index));
            Tell("__per_cpu_offset", Image.Symbols["__per_cpu_offset"] + _slide + (8 * cpu.Id.Index), BitConverter.GetBytes(offset));
            cpu.GsBase = new(offset);
            at = (at + (area.Length + GuestMemory.PageBytes - 1)).AlignDown(GuestMemory.PageBytes);
        }

        return at;
    }

    private void Tell(string variable, GuestAddress? place, byte[] value)
    {
        if (place is not { } at) return;
        if (!_memory.IsMapped(at, value.Length)) throw new BadInputException($"{Image.Release} has {variable} where it has no memory for it; fetch the image again");
        _memory.Load(at, value);
    }

    private sealed class RunningCall(Cpu cpu, FunctionCall call, long retiredBefore)
    {
        public Cpu Cpu => cpu;

        public FunctionCall Call => call;

        public long RetiredBefore => retiredBefore;

        public GuestFault? Fault { get; set; }

        public bool IsGoingOn => Fault is null && (cpu.Activity == CpuActivity.Guest || cpu.Routine is not null);
    }
}
