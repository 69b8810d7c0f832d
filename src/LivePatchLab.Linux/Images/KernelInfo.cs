namespace LivePatchLab.Linux;

/// <summary>What `livepatch kernel info` tells of an image.</summary>
/// <remarks>The version is the release, as uname -r prints it; the codec is how the image was packed, none for a vmlinux.</remarks>
public sealed record KernelInfo(
    string Version,
    string Codec,
    int Symbols,
    int FtraceSites,
    int JumpLabels,
    int StaticCalls,
    IReadOnlyList<StraddlerCounts> Straddlers);

/// <summary>How many sites of each table lie across a boundary of lines of <paramref name="LineBytes"/>: no single store can change those.</summary>
/// <remarks>Of the ftrace sites only those of .text are counted: init code is freed before anybody traces.</remarks>
public sealed record StraddlerCounts(int LineBytes, int FtraceSites, int JumpLabels, int StaticCalls)
{
    /// <summary>A word, a fetch block, half a line, a cache line, a page.</summary>
    public static readonly IReadOnlyList<int> LineSizes = [8, 16, 32, 64, 4096];

    internal static StraddlerCounts Of(int lineBytes, IEnumerable<FtraceSite> sites, IEnumerable<JumpLabelSite> labels, IEnumerable<StaticCallSite> calls) => new(
        lineBytes,
        sites.Count(site => site.Address.Straddles(FtraceSite.Length, lineBytes)),
        labels.Count(site => site.Address.Straddles(site.Length, lineBytes)),
        calls.Count(site => site.Address.Straddles(StaticCallSite.Length, lineBytes)));
}
