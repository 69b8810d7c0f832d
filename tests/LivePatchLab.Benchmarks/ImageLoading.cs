using System.Diagnostics;
using LivePatchLab.Linux;

namespace LivePatchLab.Benchmarks;

/// <summary>From the file to every table of a kernel image.</summary>
internal static class ImageLoading
{
    public static Benchmark Benchmark { get; } = new("images", "bzImage to ELF, symbols, ftrace sites, jump labels, static calls; the images of LIVEPATCH_KERNELS", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("image", "first ms", "best of five ms", "symbols", "sites");
        var folder = Environment.GetEnvironmentVariable("LIVEPATCH_KERNELS") is { Length: > 0 } named ? named : "/boot";
        foreach (var path in Directory.Exists(folder) ? Directory.GetFiles(folder, "vmlinuz-*").Order(StringComparer.Ordinal) : Enumerable.Empty<string>())
        {
            var times = new List<double>();
            KernelInfo? info = null;
            for (var i = 0; i < 6; i++)
            {
                var started = Stopwatch.GetTimestamp();
                info = KernelImage.Open(path).Info();
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }

            table.Add($"{Path.GetFileName(path)} ({info!.Codec})", times[0], times[1..].Min(), info.Symbols, info.FtraceSites);
        }

        table.Note($"images in {folder}; the first of the first image includes the JIT's time");
        return table;
    }
}
