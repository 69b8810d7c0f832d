using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// A kernel's text made from its site table: at each site's real address a NOP5 and a small function body, int3 between, so that
/// cache lines, pages and straddles are those of the kernel while every body is harmless.
/// </summary>
public sealed class SyntheticText : TracedText
{
    private const byte Int3 = 0xcc;

    private SyntheticText(SiteTable table, IReadOnlyList<GuestAddress> enabled, GuestAddress textEnd, int cpus)
        : base(enabled, enabled, textEnd, cpus)
    {
        Table = table;
        TextEnd = textEnd;
    }

    public SiteTable Table { get; }

    public override string KernelName => Table.KernelName;

    /// <summary>The first byte after the pages of the sites.</summary>
    public GuestAddress TextEnd { get; }

    /// <summary>Maps and writes it all.</summary>
    /// <exception cref="BadInputException">There is no room for it between the last site and the end of the window, or no enabled site.</exception>
    public static SyntheticText LayOut(GuestMemory memory, SiteTable table, int cpus)
    {
        var last = table.Sites.Count == 0 ? table.TextBase : table.Sites[^1].Address;
        GuestAddress[] enabled = [.. table.Sites.Where(s => s.IsEnabled).Select(s => s.Address)];
        var layout = new SyntheticText(table, enabled, PageUp(last + SyntheticBodies.LongestFunction), cpus);
        layout.WriteText(memory);
        layout.LayOutDriver(memory);
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
}
