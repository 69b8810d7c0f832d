using Iced.Intel;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux;

/// <summary>
/// A kernel's text made from its site table: at each site's real address a NOP5 and a small function body, so that cache lines,
/// pages and straddles are those of the kernel while every body is harmless.
/// </summary>
/// <remarks>
/// <code>
/// text base        int3 …  NOP5 body ret  int3 …  NOP5 body ret  …         read, execute
/// next pages       FtraceCaller, DriverEntry                              read, execute
/// next pages       FunctionTable: the address of each enabled function    read
///                  per CPU: [0] calls of FtraceCaller, [8] visits         read, write
///                  per CPU: a stack of one page, an unmapped page below   read, write
/// </code>
/// </remarks>
public sealed class SyntheticText
{
    /// <summary>What one CPU's GS base points to: a cache line, so that the counters of two CPUs share none.</summary>
    public const int PerCpuBytes = 64;

    /// <summary>Offset of the count of calls of <see cref="FtraceCaller"/>.</summary>
    public const int CallsOffset = 0;

    /// <summary>Offset of the count of functions that the driver has called.</summary>
    public const int VisitsOffset = 8;

    private const int StackStride = 2 * GuestMemory.PageBytes;
    private const byte Int3 = 0xcc;

    private SyntheticText(SiteTable table, GuestAddress end, int cpus)
    {
        Table = table;
        Cpus = cpus;
        TextEnd = end;
        RoutinesStart = TextEnd;
        FunctionTable = RoutinesStart + GuestMemory.PageBytes;
        FunctionCount = table.EnabledCount;
        PerCpuStart = PageUp(FunctionTable + Math.Max(1, FunctionCount * 8L));
        StacksStart = PageUp(PerCpuStart + ((long)cpus * PerCpuBytes));
        End = StacksStart + ((long)cpus * StackStride);
    }

    public SiteTable Table { get; }

    public int Cpus { get; }

    /// <summary>The first byte after the pages of the sites.</summary>
    public GuestAddress TextEnd { get; }

    /// <summary>Counts a call in gs:[0] and returns: what ftrace's call sites are patched to call.</summary>
    public GuestAddress FtraceCaller { get; private set; }

    /// <summary>
    /// RDI = table of function addresses, RSI = entries, RDX = start index, RCX = stride: counts a visit in gs:[8] and calls
    /// table[i] with i = (i + stride) % n, for ever.
    /// </summary>
    public GuestAddress DriverEntry { get; private set; }

    /// <summary>The addresses (u64) of the functions that begin with an enabled site, ascending.</summary>
    public GuestAddress FunctionTable { get; }

    public int FunctionCount { get; }

    /// <summary>The first byte after everything laid out here.</summary>
    public GuestAddress End { get; }

    private GuestAddress RoutinesStart { get; }

    private GuestAddress PerCpuStart { get; }

    private GuestAddress StacksStart { get; }

    /// <summary>The GS base of a CPU.</summary>
    public GuestAddress PerCpuBase(CpuId cpu) => PerCpuStart + ((long)Checked(cpu) * PerCpuBytes);

    /// <summary>Where the stack pointer of a CPU starts; the page below the stack's is not mapped.</summary>
    public GuestAddress StackTop(CpuId cpu) => StacksStart + ((long)(Checked(cpu) + 1) * StackStride);

    /// <summary>Maps and writes it all.</summary>
    /// <exception cref="ArgumentException">There is no room for it between the last site and the end of the window, or no CPU.</exception>
    public static SyntheticText LayOut(GuestMemory memory, SiteTable table, int cpus)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(cpus, 1);
        var last = table.Sites.Count == 0 ? table.TextBase : table.Sites[^1].Address;
        var layout = new SyntheticText(table, PageUp(last + SyntheticBodies.LongestFunction), cpus);
        if (layout.End < table.TextBase || !layout.End.IsInWindow)
            throw new ArgumentException($"text up to {last} leaves no room below the end of the window for {cpus} CPUs", nameof(table));

        layout.WriteText(memory);
        layout.WriteRoutines(memory);
        layout.WriteData(memory);
        return layout;
    }

    private void WriteText(GuestMemory memory)
    {
        var start = Table.TextBase.AlignDown(GuestMemory.PageBytes);
        memory.Map(start, TextEnd - start, PagePermissions.Read | PagePermissions.Execute);
        var padding = new byte[16 * GuestMemory.PageBytes];
        padding.AsSpan().Fill(Int3);
        for (var at = start; at < TextEnd; at += padding.Length)
            memory.Load(at, padding.AsSpan(0, (int)Math.Min(padding.Length, TextEnd - at)));

        var sites = Table.Sites;
        for (var i = 0; i < sites.Count; i++)
        {
            var room = i + 1 < sites.Count ? sites[i + 1].Address - sites[i].Address : SyntheticBodies.LongestFunction;
            memory.Load(sites[i].Address, SyntheticBodies.FunctionFor(sites[i].Address, room));
        }
    }

    private void WriteRoutines(GuestMemory memory)
    {
        memory.Map(RoutinesStart, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        FtraceCaller = RoutinesStart;
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
        driver.CopyTo(page, (int)(DriverEntry - RoutinesStart));
        memory.Load(RoutinesStart, page);
    }

    /// <summary>Keeps its state in registers that the bodies leave alone (they use rax, rcx, rdx), and reduces start and stride once, so that the loop needs no division.</summary>
    private static void Driver(Assembler c)
    {
        var next = c.CreateLabel();
        var inside = c.CreateLabel();
        c.mov(rbx, rdi);
        c.mov(r12, rsi);
        c.mov(r14, rcx);
        c.mov(rax, rdx);
        c.xor(edx, edx);
        c.div(r12);
        c.mov(r13, rdx);
        c.mov(rax, r14);
        c.xor(edx, edx);
        c.div(r12);
        c.mov(r14, rdx);
        c.Label(ref next);
        c.inc(__qword_ptr.gs[VisitsOffset]);
        c.call(__qword_ptr[rbx + (r13 * 8)]);
        c.add(r13, r14);
        c.cmp(r13, r12);
        c.jb(inside);
        c.sub(r13, r12);
        c.Label(ref inside);
        c.jmp(next);
    }

    private void WriteData(GuestMemory memory)
    {
        memory.Map(FunctionTable, PerCpuStart - FunctionTable, PagePermissions.Read | PagePermissions.Write);
        var at = FunctionTable;
        foreach (var site in Table.Sites)
        {
            if (!site.IsEnabled) continue;
            memory.LoadUInt64(at, site.Address.Value);
            at += 8;
        }

        memory.Map(PerCpuStart, StacksStart - PerCpuStart, PagePermissions.Read | PagePermissions.Write);
        for (var cpu = 0; cpu < Cpus; cpu++)
            memory.Map(StackTop(new(cpu)) - GuestMemory.PageBytes, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
    }

    private int Checked(CpuId cpu)
        => (uint)cpu.Index < (uint)Cpus ? cpu.Index : throw new ArgumentOutOfRangeException(nameof(cpu), $"{cpu} is not one of the {Cpus} CPUs of this text");

    private static GuestAddress PageUp(GuestAddress address) => (address + (GuestMemory.PageBytes - 1)).AlignDown(GuestMemory.PageBytes);

    internal static byte[] Assemble(GuestAddress at, Action<Assembler> code)
    {
        var assembler = new Assembler(64);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at.Value);
        return stream.ToArray();
    }
}
