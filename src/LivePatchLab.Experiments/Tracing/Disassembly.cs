using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>What is at a traced site now.</summary>
public enum SiteState
{
    /// <summary>The NOP of five bytes.</summary>
    Nop,

    /// <summary>A call of the tracer.</summary>
    Call,

    /// <summary>INT3 stands in the first byte: a patch is under way, or was left in the middle.</summary>
    Int3,

    /// <summary>None of these.</summary>
    Other,
}

/// <summary>An older version of an instruction, that some CPUs may still be given.</summary>
/// <param name="Bytes">The oldest bytes that they may see.</param>
/// <param name="Text">As they would decode them.</param>
/// <param name="Cpus">Which CPUs.</param>
public sealed record StaleVersion(byte[] Bytes, string Text, IReadOnlyList<CpuId> Cpus);

/// <summary>One instruction of a listing.</summary>
/// <param name="Address">Its first byte.</param>
/// <param name="Label">The function that begins here, or null.</param>
/// <param name="Bytes">What memory holds.</param>
/// <param name="Text">In AT&amp;T notation.</param>
/// <param name="Site">The number of the traced site that begins here, or null.</param>
/// <param name="State">What is at that site.</param>
/// <param name="Stale">Where the code is dirty: what else CPUs may see.</param>
public sealed record CodeLine(GuestAddress Address, string? Label, byte[] Bytes, string Text, int? Site, SiteState State, IReadOnlyList<StaleVersion> Stale)
{
    /// <summary>The CPUs whose next instruction this is; only in listings that were made to show it.</summary>
    public IReadOnlyList<CpuId> Next { get; init; } = [];
}

/// <summary>A piece of a machine's code, as memory holds it, and what its CPUs may see instead.</summary>
/// <param name="Source">Whose code it is: a kernel's release, the path of a program.</param>
/// <param name="Lines">In the order of their addresses.</param>
public sealed record CodeListing(string Source, IReadOnlyList<CodeLine> Lines)
{
    public override string ToString() => $"{Source}: {Lines.Count} instructions";
}

/// <summary>Listings of a machine's code with its traced sites marked.</summary>
public static class Disassembly
{
    private const int InstructionsMax = 10_000;

    /// <summary>From an address on.</summary>
    /// <exception cref="BadInputException">No code is mapped there, or no instruction is asked for.</exception>
    public static CodeListing Disassemble(this LabMachine lab, GuestAddress address, int instructions = 16) => lab.Machine.Disassemble(address, instructions);

    /// <summary>A function, from its first instruction on; where the text has symbols, up to the next of them.</summary>
    /// <param name="lab">The machine.</param>
    /// <param name="symbol">A symbol of the kernel's image; or, in a text made by the lab, a name that its listings show: function_0, ftrace_caller.</param>
    /// <param name="instructions">At most so many.</param>
    /// <exception cref="BadInputException">There is no such symbol.</exception>
    public static CodeListing Disassemble(this LabMachine lab, string symbol, int instructions = 64)
    {
        if (lab.Machine.CodeMap!.TryFind(symbol, out var at)) return lab.Machine.DisassembleFunction(at, instructions);
        throw new BadInputException($"{lab.Text.KernelName} has no function '{symbol}' here{(lab.Text is KernelText ? "" : "; a text that the lab made has function_0 and so on, and ftrace_caller")}");
    }

    /// <summary>Around a traced site: its function's first instructions.</summary>
    /// <exception cref="BadInputException">There is no such site.</exception>
    public static CodeListing DisassembleSite(this LabMachine lab, int site, int instructions = 8)
        => site >= 0 && site < lab.Text.Sites.Count ? lab.Disassemble(lab.Text.Sites[site], instructions) : throw new BadInputException($"site {site}: the text has sites 0 to {lab.Text.Sites.Count - 1}");

    /// <summary>From an address on, in any machine.</summary>
    /// <exception cref="BadInputException">No code is mapped there, or no instruction is asked for.</exception>
    public static CodeListing Disassemble(this SmpMachine machine, GuestAddress address, int instructions = 16)
    {
        if (instructions is < 1 or > InstructionsMax) throw new BadInputException($"{instructions} instructions: a listing has 1 to {InstructionsMax:N0}");
        if (!machine.Memory.IsMapped(address, 1)) throw new BadInputException($"no code is mapped at {address}");
        var text = new InstructionText(machine.CodeMap);
        var lines = new List<CodeLine>();
        while (lines.Count < instructions && Line(machine, text, address) is { } line)
        {
            lines.Add(line);
            address += line.Bytes.Length;
        }

        return new(machine.CodeMap?.Source ?? "machine", lines);
    }

    /// <summary>
    /// The code around a CPU's next instruction. What is before it is read from the beginning of its function, as instructions
    /// cannot be read backwards; without a name for the place, the listing begins at the next instruction.
    /// </summary>
    /// <exception cref="BadInputException">No code is mapped there, or no instruction is asked for.</exception>
    public static CodeListing Disassemble(this Cpu cpu, int instructions = 9)
    {
        var machine = cpu.Machine;
        var listing = machine.Disassemble(cpu.Rip, instructions);
        if (machine.CodeMap is { } map && FunctionAround(map, cpu.Rip) is { } function && function < cpu.Rip)
        {
            var text = new InstructionText(map);
            var before = new List<CodeLine>();
            var at = function;
            while (at < cpu.Rip && Line(machine, text, at) is { } line)
            {
                before.Add(line);
                at += line.Bytes.Length;
            }

            if (at == cpu.Rip) listing = listing with { Lines = [.. before.TakeLast(instructions / 2), .. listing.Lines.Take(instructions - Math.Min(before.Count, instructions / 2))] };
        }

        return listing.ShowingCpus(machine);
    }

    /// <summary>The instructions of the function that begins here, up to the next name; at most so many.</summary>
    internal static CodeListing DisassembleFunction(this SmpMachine machine, GuestAddress function, int instructions)
    {
        var listing = machine.Disassemble(function, instructions);
        return machine.CodeMap?.NextAfter(function) is { } end ? listing with { Lines = [.. listing.Lines.TakeWhile(line => line.Address < end)] } : listing;
    }

    internal static CodeListing ShowingCpus(this CodeListing listing, SmpMachine machine) => listing with
    {
        Lines = [.. listing.Lines.Select(line => line with { Next = [.. machine.Cpus.Where(cpu => cpu.Activity is CpuActivity.Guest or CpuActivity.Halted && cpu.Rip == line.Address).Select(cpu => cpu.Id)] })],
    };

    private static GuestAddress? FunctionAround(ICodeMap map, GuestAddress address)
        => map.NameOf(address) is { } name && map.TryFind(name.Split("+0x", 2)[0], out var function) ? function : null;

    private static CodeLine? Line(SmpMachine machine, InstructionText text, GuestAddress address)
    {
        if (text.At(machine.Memory, address) is not { } instruction) return null;
        var (bytes, words) = instruction;
        var site = machine.CodeMap?.SiteAt(address);
        // One byte of INT3 would leave the tail of the site to be read as instructions that nobody executes.
        var siteLength = FtraceRecords.NopReplace().Length;
        if (site is not null && bytes.Length < siteLength && machine.Memory.IsMapped(address, siteLength)) bytes = machine.Memory.Read(address, siteLength);
        var stale = machine.Cpus.Select(cpu => (cpu.Id, Bytes: machine.OldestVisibleCode(cpu.Id, address, bytes.Length))).Where(seen => !seen.Bytes.AsSpan().SequenceEqual(bytes))
            .GroupBy(seen => Convert.ToHexString(seen.Bytes)).Select(group => Stale(text, address, group.First().Bytes, [.. group.Select(seen => seen.Id)]));
        return new(address, machine.CodeMap?.LabelAt(address), bytes, words, site, site is null ? SiteState.Other : StateOf(bytes), [.. stale]);
    }

    private static StaleVersion Stale(InstructionText text, GuestAddress address, byte[] bytes, IReadOnlyList<CpuId> cpus) => new(bytes, text.Of(address, bytes).Text, cpus);

    private static SiteState StateOf(byte[] bytes) => bytes[0] switch
    {
        Patching.BreakpointState.Int3 => SiteState.Int3,
        0xe8 => SiteState.Call,
        _ when bytes.AsSpan().SequenceEqual(FtraceRecords.NopReplace()) => SiteState.Nop,
        _ => SiteState.Other,
    };
}
