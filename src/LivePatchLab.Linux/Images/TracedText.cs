using Iced.Intel;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux;

/// <summary>
/// Kernel text with traced sites, laid into a machine's memory, and what makes CPUs run through it: a tracer for enabled sites
/// to call, and a driver that calls one traced function after the other.
/// </summary>
/// <remarks>
/// <code>
/// behind the text  FtraceCaller, DriverEntry                              read, execute
/// next pages       FunctionTable: the address of each function to call    read, write
///                  per CPU: [0] calls of FtraceCaller, [8] visits         read, write
///                  per CPU: a stack of one page, an unmapped page below   read, write
/// </code>
/// </remarks>
public abstract class TracedText
{
    /// <summary>What one CPU's GS base points to: a cache line, so that the counters of two CPUs share none.</summary>
    public const int PerCpuBytes = 64;

    /// <summary>Offset of the count of calls of <see cref="FtraceCaller"/>.</summary>
    public const int CallsOffset = 0;

    /// <summary>Offset of the count of functions that the driver has called.</summary>
    public const int VisitsOffset = 8;

    /// <summary>The driver stays with so many functions for a while, as a kernel under some load does, before it goes on to others.</summary>
    private const int WindowFunctions = 32;

    private const int VisitsPerWindow = 32 * WindowFunctions;

    /// <summary>Between two windows the CPU computes without any call: up to 2^19 turns of a loop, short ones as likely as long ones.</summary>
    private const int PauseBits = 19;

    private const int StackStride = 2 * GuestMemory.PageBytes;
    private const byte Int3 = 0xcc;

    private readonly GuestAddress _routines;
    private readonly GuestAddress _perCpu;
    private readonly GuestAddress _stacks;

    /// <param name="sites">The sites that tracing enables, ascending.</param>
    /// <param name="functions">What the driver calls.</param>
    /// <param name="textEnd">The first free page behind the text.</param>
    /// <param name="cpus">How many CPUs get counters and a stack.</param>
    /// <exception cref="BadInputException">There is no room behind the text, or no function.</exception>
    protected TracedText(IReadOnlyList<GuestAddress> sites, IReadOnlyList<GuestAddress> functions, GuestAddress textEnd, int cpus)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(cpus, 1);
        if (functions.Count == 0) throw new BadInputException("the table has no site that tracing enables, so there is nothing to patch; give another");
        Sites = sites;
        Functions = functions;
        Cpus = cpus;
        _routines = PageUp(textEnd);
        FunctionTable = _routines + GuestMemory.PageBytes;
        _perCpu = PageUp(FunctionTable + (functions.Count * 8L));
        _stacks = PageUp(_perCpu + ((long)cpus * PerCpuBytes));
        End = _stacks + ((long)cpus * StackStride);
        if (End < textEnd || !End.IsInWindow)
            throw new BadInputException($"text up to {textEnd} leaves no room below the end of the window for {cpus} CPUs; take fewer sites or CPUs");
    }

    /// <summary>The kernel's release, as uname -r prints it.</summary>
    public abstract string KernelName { get; }

    /// <summary>The sites that tracing enables, ascending; each holds a NOP5 at first.</summary>
    public IReadOnlyList<GuestAddress> Sites { get; }

    /// <summary>The functions that the driver calls; each begins with one of the sites.</summary>
    public IReadOnlyList<GuestAddress> Functions { get; }

    public int Cpus { get; }

    /// <summary>Counts a call in gs:[0] and returns: what ftrace's call sites are patched to call.</summary>
    public GuestAddress FtraceCaller { get; private set; }

    /// <summary>
    /// RDI = table of function addresses, RSI = entries, RDX = first entry, RCX = how many entries on the next window begins, R8 =
    /// where the lengths of the pauses start from: counts each visit in gs:[8] and calls, for ever.
    /// </summary>
    public GuestAddress DriverEntry { get; private set; }

    /// <summary>The addresses (u64) of <see cref="Functions"/>.</summary>
    public GuestAddress FunctionTable { get; }

    /// <summary>The first byte after everything laid out here.</summary>
    public GuestAddress End { get; }

    /// <summary>The GS base of a CPU.</summary>
    public GuestAddress PerCpuBase(CpuId cpu) => _perCpu + ((long)Checked(cpu) * PerCpuBytes);

    /// <summary>Where the stack pointer of a CPU starts; the page below the stack's is not mapped.</summary>
    public GuestAddress StackTop(CpuId cpu) => _stacks + ((long)(Checked(cpu) + 1) * StackStride);

    /// <summary>Has a CPU run the driver, from a place that chance draws and in steps of its own, so that the CPUs meet the patcher and each other everywhere.</summary>
    public void StartDriver(Cpu cpu)
    {
        var count = (ulong)Functions.Count;
        var index = (ulong)Checked(cpu.Id);
        var registers = cpu.Registers;
        registers[7] = FunctionTable.Value;
        registers[6] = count;
        registers[2] = (ulong)cpu.Machine.Choices.Choose(ChoicePoint.Workload, int.MaxValue) % count;
        registers[1] = (WindowFunctions + (32 * index)) % count;
        registers[8] = (ulong)cpu.Machine.Choices.Choose(ChoicePoint.Workload, int.MaxValue) << 32;
        cpu.StartGuest(DriverEntry, StackTop(cpu.Id));
    }

    /// <summary>Maps and writes tracer, driver, table, counters and stacks.</summary>
    protected void LayOutDriver(GuestMemory memory)
    {
        memory.Map(_routines, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        FtraceCaller = _routines;
        var caller = Assemble(FtraceCaller, c =>
        {
            c.inc(__qword_ptr.gs[CallsOffset]);
            c.ret();
        });
        DriverEntry = (FtraceCaller + caller.Length + 63).AlignDown(64);
        var driver = Assemble(DriverEntry, Driver);
        var page = new byte[GuestMemory.PageBytes];
        page.AsSpan().Fill(Int3);
        caller.CopyTo(page, 0);
        driver.CopyTo(page, (int)(DriverEntry - _routines));
        memory.Load(_routines, page);

        memory.Map(FunctionTable, _stacks - FunctionTable, PagePermissions.Read | PagePermissions.Write);
        for (var i = 0; i < Functions.Count; i++) memory.LoadUInt64(FunctionTable + (8L * i), Functions[i].Value);
        for (var cpu = 0; cpu < Cpus; cpu++)
            memory.Map(StackTop(new(cpu)) - GuestMemory.PageBytes, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
    }

    protected static GuestAddress PageUp(GuestAddress address) => (address + (GuestMemory.PageBytes - 1)).AlignDown(GuestMemory.PageBytes);

    /// <summary>Keeps its state in the registers that a called function preserves (System V ABI: rbx, rbp, r12 to r15).</summary>
    private static void Driver(Assembler c)
    {
        var window = c.CreateLabel();
        var visit = c.CreateLabel();
        var reduce = c.CreateLabel();
        var call = c.CreateLabel();
        var pause = c.CreateLabel();
        var reduceStart = c.CreateLabel();
        c.mov(rbx, rdi);
        c.mov(r12, rsi);
        c.mov(r13, rdx);
        c.mov(r14, rcx);
        c.mov(r15, r8);

        c.Label(ref window);
        c.mov(ebp, VisitsPerWindow);
        c.Label(ref visit);
        c.mov(eax, ebp);
        c.and(eax, WindowFunctions - 1);
        c.add(rax, r13);
        c.Label(ref reduce);
        c.cmp(rax, r12);
        c.jb(call);
        c.sub(rax, r12);
        c.jmp(reduce);
        c.Label(ref call);
        c.inc(__qword_ptr.gs[VisitsOffset]);
        c.call(__qword_ptr[rbx + (rax * 8)]);
        c.dec(ebp);
        c.jne(visit);

        // A linear congruential step (Knuth's MMIX has the increment); its high bits give a length, others by how much to shorten it.
        c.imul(r15, r15, 0x5851f42d);
        c.add(r15, 0x14057b7e);
        c.mov(rax, r15);
        c.shr(rax, 64 - PauseBits);
        c.mov(rcx, r15);
        c.shr(rcx, 40);
        c.and(ecx, 15);
        c.shr(rax, cl);
        c.Label(ref pause);
        c.sub(rax, 1);
        c.jae(pause);

        c.add(r13, r14);
        c.cmp(r13, r12);
        c.jb(window);
        c.Label(ref reduceStart);
        c.sub(r13, r12);
        c.cmp(r13, r12);
        c.jae(reduceStart);
        c.jmp(window);
    }

    internal static byte[] Assemble(GuestAddress at, Action<Assembler> code)
    {
        var assembler = new Assembler(64);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at.Value);
        return stream.ToArray();
    }

    private int Checked(CpuId cpu)
        => (uint)cpu.Index < (uint)Cpus ? cpu.Index : throw new ArgumentOutOfRangeException(nameof(cpu), $"{cpu} is not one of the {Cpus} CPUs of this text");
}
