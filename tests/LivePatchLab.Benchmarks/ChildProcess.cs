using System.Diagnostics;
using System.Runtime.InteropServices;
using LivePatchLab.Linux;

namespace LivePatchLab.Benchmarks;

/// <summary>Runs a program to its end and tells the processor time that it took: on a busy computer that says more than a clock.</summary>
internal static partial class ChildProcess
{
    private const int RusageChildren = -1;

    public static (double CpuSeconds, string Output, string Errors, int Status) Run(string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = LabFolder.Root };
        var before = ChildrenCpuSeconds();
        using var process = Process.Start(start) ?? throw new BadInputException($"{program} does not start");
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return (ChildrenCpuSeconds() - before, output.Result, errors.Result, process.ExitCode);
    }

    /// <summary>Where a program is on the PATH, or null.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);

    private static double ChildrenCpuSeconds()
    {
        if (GetResourceUsage(RusageChildren, out var usage) != 0) throw new BadInputException("getrusage() fails here");
        return usage.UserSeconds + usage.SystemSeconds + ((usage.UserMicroseconds + usage.SystemMicroseconds) / 1e6);
    }

    [LibraryImport("libc", EntryPoint = "getrusage")]
    private static partial int GetResourceUsage(int who, out ResourceUsage usage);

    /// <summary>struct rusage of Linux on 64-bit machines: two times, and fourteen counts that nobody here reads.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 144)]
    private struct ResourceUsage
    {
        public long UserSeconds;
        public long UserMicroseconds;
        public long SystemSeconds;
        public long SystemMicroseconds;
    }
}
