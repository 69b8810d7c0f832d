using System.Runtime.InteropServices;

namespace LivePatchLab.Linux.Tests;

/// <summary>What of this computer some tests need.</summary>
internal static class HostTools
{
    /// <summary>Null on an x86-64 Linux with gcc; else what is missing.</summary>
    public static string? WhyNoGcc => !OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64 ? "needs an x86-64 processor and Linux"
        : !HasProgram("gcc") ? "no gcc on this computer"
        : null;

    public static bool HasProgram(string name)
        => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, name)));
}
