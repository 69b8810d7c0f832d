using System.Diagnostics;

namespace LivePatchLab.Cli.Tests;

/// <summary>What is no file, or has no end, given where a file belongs: one line at once.</summary>
public sealed class SpecialFileTests
{
    private static readonly string[][] Commands =
    [
        ["run"], ["kernel", "info"], ["kernel", "table"], ["patch", "--image"], ["patch", "--table"], ["sweep"], ["explore"], ["notebook", "run"], ["notebook", "check"],
    ];

    [SpecialFileTheory]
    [InlineData("/dev/zero", "a character device")]
    [InlineData("/dev/random", "a character device")]
    [InlineData("/dev/null", "a character device")]
    public void A_device_is_told_so(string path, string kind) => ShouldBeRefused(path, kind);

    [SpecialFileFact]
    public void A_named_pipe_that_nobody_writes_to_is_not_waited_for()
    {
        using var folder = new TemporaryFolder();
        using (var mkfifo = Process.Start("mkfifo", folder.At("pipe"))) mkfifo.WaitForExit();
        ShouldBeRefused(folder.At("pipe"), "a named pipe");
    }

    [Fact]
    public void A_folder_is_told_so()
    {
        using var folder = new TemporaryFolder();
        foreach (var command in Commands.Where(command => command[0] != "explore")) Livepatch.Run([.. command, folder.At("")]).ShouldComplain(2, folder.At(""), "a folder");

        // Of a folder, explore takes the tests in it.
        Livepatch.Run("explore", folder.At("")).ShouldComplain(2, "holds no litmus test");
    }

    /// <summary>What a shell puts in a file's place is read: a pipe that is open already.</summary>
    [SpecialFileFact]
    public void A_pipe_of_the_shells_is_read()
        => Livepatch.Start("bash", "-c", $"'{Livepatch.Program}' run <(cat data/guests/hello); '{Livepatch.Program}' run /dev/stdin < data/guests/hello; cat data/guests/hello | '{Livepatch.Program}' run /dev/stdin").ShouldBeDone()
            .Output.ShouldBe(string.Concat(Enumerable.Repeat("hello from CPU 0 of 1\n", 3)));

    private static void ShouldBeRefused(string path, string kind)
    {
        foreach (var command in Commands) Livepatch.Run([.. command, path]).ShouldComplain(2, $"{path}: {kind}; give a file");
    }
}

/// <summary>A test of what only Linux tells of files.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SpecialFileFactAttribute : FactAttribute
{
    public SpecialFileFactAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "what a file is besides a file is told on Linux";
    }
}

/// <summary>The same with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SpecialFileTheoryAttribute : TheoryAttribute
{
    public SpecialFileTheoryAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "what a file is besides a file is told on Linux";
    }
}
