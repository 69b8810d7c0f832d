namespace LivePatchLab.Linux.Tests;

/// <summary>What one release of Debian's holds, counted by other means than the lab's: scripts over its tables, and the kernel's own word when it boots.</summary>
/// <param name="Exact">The image of that release.</param>
/// <param name="Codec">How it is packed.</param>
/// <param name="Symbols">Entries of kallsyms.</param>
/// <param name="FtraceSites">As "ftrace: allocating N entries" says at boot.</param>
/// <param name="TextFtraceSites">Those of .text.</param>
/// <param name="EnabledSites">Those of .text that begin a function.</param>
/// <param name="JumpLabels">Entries of __jump_table.</param>
/// <param name="StaticCalls">Entries of .static_call_sites.</param>
/// <param name="FtraceStraddlers">How many ftrace sites of .text lie across a boundary of 8, 16, 32, 64, 4096 bytes.</param>
internal sealed record KnownKernel(
    string Exact, string Codec, int Symbols, int FtraceSites, int TextFtraceSites, int EnabledSites, int JumpLabels, int StaticCalls, int[] FtraceStraddlers)
{
    private static readonly KnownKernel[] All =
    [
        new(KernelFolder.ExactCloud510, "lz4", 97_254, 34_082, 32_170, 31_644, 3_619, 1_160, [108, 64, 33, 16, 0]),
        new(KernelFolder.ExactCloud61, "lz4", 87_347, 37_697, 35_609, 35_051, 5_980, 4_276, [135, 69, 34, 16, 0]),
        new(KernelFolder.ExactGeneric61, "xz", 94_266, 40_521, 38_252, 37_655, 6_299, 4_085, [164, 84, 44, 20, 0]),
        new(KernelFolder.ExactCloud612, "zstd", 154_686, 42_567, 40_339, 40_339, 8_977, 7_872, [33_420, 0, 0, 0, 0]),
        new(KernelFolder.ExactCloud7, "zstd", 186_798, 46_295, 43_859, 43_859, 9_929, 10_389, [36_225, 0, 0, 0, 0]),
    ];

    /// <param name="pattern">Of an image or of its series.</param>
    public static KnownKernel Named(string pattern) => All.Single(known => known.Exact == KernelFolder.ExactOf(pattern));
}
