using LivePatchLab.Linux;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>Kernel images, site tables and programs: what is in them.</summary>
internal static class KernelView
{
    public static HtmlFragment Of(KernelInfo kernel) => new ViewBuilder()
        .Headline("Linux " + kernel.Version, $": {Plural(kernel.Symbols, "symbol")}, packed by {kernel.Codec}")
        .Table(new(["sites", "all", .. kernel.Straddlers.Select(s => $"across {Count(s.LineBytes)} bytes")],
        [
            ["ftrace", Count(kernel.FtraceSites), .. kernel.Straddlers.Select(s => Count(s.FtraceSites))],
            ["jump labels", Count(kernel.JumpLabels), .. kernel.Straddlers.Select(s => Count(s.JumpLabels))],
            ["static calls", Count(kernel.StaticCalls), .. kernel.Straddlers.Select(s => Count(s.StaticCalls))],
        ])
        { Numeric = [false, .. Enumerable.Repeat(true, 1 + kernel.Straddlers.Count)] })
        .Footnote("Sites across a boundary of so many bytes cannot be changed by one store inside such a block. Of the ftrace sites only those of .text are counted there.")
        .Build();

    public static HtmlFragment Of(SiteTable table) => new ViewBuilder()
        .Headline(table.KernelName, $": {Plural(table.Sites.Count, "traced site")} from {table.TextBase} on, of which ftrace enables {Count(table.EnabledCount)}")
        .Build();

    public static HtmlFragment Of(ProgramImage program) => new ViewBuilder()
        .Headline(Path.GetFileName(program.Source), $": starts at {program.Entry}, {Plural(program.Segments.Count, "segment")}, {Plural(program.FtraceSites.Count, "traced site")}")
        .Table(new(["address", "bytes", "permissions"], [.. program.Segments.Select(segment => (string[])[segment.Address.ToString(), Count(segment.Length), segment.Permissions.ToString()])])
        {
            Numeric = [false, true, false],
        })
        .Build();
}
