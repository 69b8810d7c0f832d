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
public sealed record CodeLine(GuestAddress Address, string? Label, byte[] Bytes, string Text, int? Site, SiteState State, IReadOnlyList<StaleVersion> Stale);

/// <summary>A piece of a machine's code, as memory holds it, and what its CPUs may see instead.</summary>
public sealed record CodeListing(string KernelName, IReadOnlyList<CodeLine> Lines)
{
    public override string ToString() => $"{KernelName}: {Lines.Count} instructions";
}

/// <summary>Listings of a machine's code with its traced sites marked.</summary>
public static class Disassembly
{
    private const int InstructionBytesMax = 15;

    /// <summary>From an address on.</summary>
    /// <exception cref="BadInputException">No code is mapped there, or no instruction is asked for.</exception>
    public static CodeListing Disassemble(this LabMachine lab, GuestAddress address, int instructions = 16)
    {
        if (instructions is < 1 or > 10_000) throw new BadInputException($"{instructions} instructions: a listing has 1 to 10,000");
        if (!lab.Machine.Memory.IsMapped(address, 1)) throw new BadInputException($"no code is mapped at {address}");
        var text = new InstructionText(lab.Text);
        var lines = new List<CodeLine>();
        while (lines.Count < instructions && lab.Machine.Memory.IsMapped(address, 1))
        {
            var line = Line(lab, text, address);
            lines.Add(line);
            address += line.Bytes.Length;
        }

        return new(lab.Text.KernelName, lines);
    }

    /// <summary>A function, from its first instruction on; where the text has symbols, up to the next of them.</summary>
    /// <param name="lab">The machine.</param>
    /// <param name="symbol">A symbol of the kernel's image; or, in a text made by the lab, a name that its listings show: function_0, ftrace_caller.</param>
    /// <param name="instructions">At most so many.</param>
    /// <exception cref="BadInputException">There is no such symbol.</exception>
    public static CodeListing Disassemble(this LabMachine lab, string symbol, int instructions = 64)
    {
        if (lab.Text is KernelText kernel && kernel.Image.Symbols.TryFind(symbol, out var at))
        {
            var listing = lab.Disassemble(at, instructions);
            return kernel.Image.Symbols.NextAfter(at) is { } end ? listing with { Lines = [.. listing.Lines.TakeWhile(line => line.Address < end)] } : listing;
        }

        return lab.Disassemble(new InstructionText(lab.Text).Find(symbol) ?? throw new BadInputException($"{lab.Text.KernelName} has no function '{symbol}' here{(lab.Text is KernelText ? "" : "; a text that the lab made has function_0 and so on, and ftrace_caller")}"), instructions);
    }

    /// <summary>Around a traced site: its function's first instructions.</summary>
    /// <exception cref="BadInputException">There is no such site.</exception>
    public static CodeListing DisassembleSite(this LabMachine lab, int site, int instructions = 8)
        => site >= 0 && site < lab.Text.Sites.Count ? lab.Disassemble(lab.Text.Sites[site], instructions) : throw new BadInputException($"site {site}: the text has sites 0 to {lab.Text.Sites.Count - 1}");

    private static CodeLine Line(LabMachine lab, InstructionText text, GuestAddress address)
    {
        var site = SiteAt(lab.Text.Sites, address);
        var memory = Read(lab, address);
        var (bytes, words) = text.Of(address, memory);
        // One byte of INT3 would leave the tail of the site to be read as instructions that nobody executes.
        if (site is not null && bytes.Length < FtraceRecords.NopReplace().Length && memory.Length >= FtraceRecords.NopReplace().Length) bytes = memory[..FtraceRecords.NopReplace().Length];
        var stale = lab.Machine.Cpus.Select(cpu => (cpu.Id, Bytes: lab.Machine.OldestVisibleCode(cpu.Id, address, bytes.Length))).Where(seen => !seen.Bytes.AsSpan().SequenceEqual(bytes))
            .GroupBy(seen => Convert.ToHexString(seen.Bytes)).Select(group => Stale(text, address, group.First().Bytes, [.. group.Select(seen => seen.Id)]));
        return new(address, text.LabelOf(address), bytes, words, site, site is null ? SiteState.Other : StateOf(bytes), [.. stale]);
    }

    private static StaleVersion Stale(InstructionText text, GuestAddress address, byte[] bytes, IReadOnlyList<CpuId> cpus) => new(bytes, text.Of(address, bytes).Text, cpus);

    private static SiteState StateOf(byte[] bytes) => bytes[0] switch
    {
        Patching.BreakpointState.Int3 => SiteState.Int3,
        0xe8 => SiteState.Call,
        _ when bytes.AsSpan().SequenceEqual(FtraceRecords.NopReplace()) => SiteState.Nop,
        _ => SiteState.Other,
    };

    private static int? SiteAt(IReadOnlyList<GuestAddress> sites, GuestAddress address)
    {
        int low = 0, high = sites.Count;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (sites[middle] < address) low = middle + 1;
            else high = middle;
        }

        return low < sites.Count && sites[low] == address ? low : null;
    }

    private static byte[] Read(LabMachine lab, GuestAddress address)
    {
        var length = InstructionBytesMax;
        while (!lab.Machine.Memory.IsMapped(address, length)) length--;
        return lab.Machine.Memory.Read(address, length);
    }
}
