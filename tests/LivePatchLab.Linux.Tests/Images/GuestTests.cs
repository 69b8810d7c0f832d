using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LivePatchLab.Linux.Tests;

/// <summary>The guests on the bare processor: what they say there is what the machine must say.</summary>
public sealed class GuestTests
{
    [NativeTheory]
    [InlineData("hello", "", "hello from CPU 0 of 1\n", 0)]
    [InlineData("sites", "", "093c000000004335\n", 0)]
    [InlineData("locks", "7", "total 21\n", 0)]
    [InlineData("kernels", "0 10", "000000000a4119d1\n", 0)]
    [InlineData("kernels", "7 1000", "d9afa8d3a33d07a9\n", 0)]
    [InlineData("faults", "ud", "", 128 + 4)]
    [InlineData("faults", "de", "", 128 + 8)]
    [InlineData("faults", "pf", "", 128 + 11)]
    [InlineData("faults", "gp", "", 128 + 11)]
    [InlineData("faults", "bp", "", 128 + 5)]
    [InlineData("faults", "", "usage: faults ud|de|pf|gp|bp\n", 2)]
    public void A_guest_runs_natively(string guest, string arguments, string output, int status)
    {
        using var process = Process.Start(new ProcessStartInfo(LabFolder.Guest(guest), arguments) { RedirectStandardOutput = true })!;
        process.StandardOutput.ReadToEnd().ShouldBe(output);
        process.WaitForExit();
        process.ExitCode.ShouldBe(status);
    }
}

[AttributeUsage(AttributeTargets.Method)]
public sealed class NativeTheoryAttribute : TheoryAttribute
{
    public NativeTheoryAttribute()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.OSArchitecture != Architecture.X64) Skip = "the guests run natively on x86-64 Linux only";
    }
}
