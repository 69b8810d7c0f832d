using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>
/// Whole programs: every guest of data/guests, compiled afresh at every level of optimisation, must write and return in the machine
/// what it does on the bare processor.
/// </summary>
public sealed class CompiledGuestTests
{
    private static readonly (string Guest, string[] Arguments)[] Runs =
    [
        ("hello", []),
        ("sites", ["60"]),
        ("locks", ["70"]),
        .. ((string[])["ud", "de", "pf", "gp", "bp", "none"]).Select(fault => ("faults", (string[])[fault])),
        ("faults", []),
        .. Enumerable.Range(0, 9).Select(kernel => ("kernels", (string[])[$"{kernel}", "3"])),
        ("kernels", []),
    ];

    public static TheoryData<string> Levels
    {
        get
        {
            var levels = new TheoryData<string>("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -fno-omit-frame-pointer -mno-push-args");

            // gcc uses these only when it is told to, and only a processor that has them can be asked.
            if (Bmi2.IsSupported && Lzcnt.IsSupported && Popcnt.IsSupported) levels.Add("-O3 -mbmi -mbmi2 -mlzcnt -mpopcnt -mmovbe");
            return levels;
        }
    }

    [CompilerTheory]
    [MemberData(nameof(Levels))]
    public void A_guest_does_in_the_machine_what_it_does_on_the_processor(string level)
    {
        var folder = Directory.CreateTempSubdirectory("livepatch-");
        try
        {
            Build(level, folder.FullName);
            foreach (var (guest, arguments) in Runs)
            {
                var program = Path.Combine(folder.FullName, guest);
                var native = RunNatively(program, arguments);
                (native.Output.Length > 0 || native.Status != 0).ShouldBeTrue($"{guest} {string.Join(' ', arguments)} does nothing that could differ");
                RunInMachine(program, arguments, cpus: 1).ShouldBe(native, $"{level} {guest} {string.Join(' ', arguments)}");
            }

            // Several CPUs have no counterpart among processes, but what they must come to is known.
            RunInMachine(Path.Combine(folder.FullName, "locks"), ["40"], cpus: 6).ShouldBe(("total 720\n", 0), level);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The control: a program of which one instruction is another writes something else.</summary>
    [CompilerTheory]
    [InlineData("-O2")]
    public void A_changed_guest_is_noticed(string level)
    {
        var folder = Directory.CreateTempSubdirectory("livepatch-");
        try
        {
            Build(level, folder.FullName);
            var program = Path.Combine(folder.FullName, "kernels");
            var bytes = File.ReadAllBytes(program);
            var polynomial = bytes.AsSpan().IndexOf<byte>([0x20, 0x83, 0xb8, 0xed]);
            polynomial.ShouldBeGreaterThan(0, "no CRC-32 polynomial in the guest");
            bytes[polynomial] ^= 1;
            var changed = Path.Combine(folder.FullName, "changed");
            File.WriteAllBytes(changed, bytes);
            RunInMachine(changed, ["0", "3"], cpus: 1).ShouldNotBe(RunNatively(program, ["0", "3"]));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Build(string level, string folder)
    {
        using var build = Process.Start(new ProcessStartInfo("sh", [LabFolder.Guest("build.sh"), level, folder]) { RedirectStandardError = true })!;
        var errors = build.StandardError.ReadToEnd();
        build.WaitForExit();
        build.ExitCode.ShouldBe(0, errors);
    }

    private static (string Output, int Status) RunNatively(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (output, process.ExitCode);
    }

    private static (string Output, int Status) RunInMachine(string program, string[] arguments, int cpus)
    {
        using var machine = new SmpMachine(new MachineOptions { Cpus = cpus });
        using var output = new MemoryStream();
        using var errors = new MemoryStream();
        var end = new UserProgram(machine, ProgramImage.Open(program), arguments, output, errors).Run();
        errors.Length.ShouldBe(0);
        return (System.Text.Encoding.UTF8.GetString(output.ToArray()), end.Status);
    }
}

/// <summary>A test that compiles programs and runs them on the processor.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CompilerTheoryAttribute : TheoryAttribute
{
    public CompilerTheoryAttribute() => Skip = HostTools.WhyNoGcc;
}
