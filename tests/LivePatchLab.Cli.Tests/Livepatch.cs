using System.Diagnostics;
using System.Text.Json.Nodes;

namespace LivePatchLab.Cli.Tests;

/// <summary>What one run of the program said.</summary>
public sealed record Livepatch(string Command, int Status, string Output, string Errors)
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(3);

    /// <summary>The program that the build has made, where scripts look for it.</summary>
    public static readonly string Program = Path.Combine(
        LabFolder.Root, "src", "LivePatchLab.Cli", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "livepatch");

    public JsonNode Json => JsonNode.Parse(Output) ?? throw new InvalidOperationException($"{Command} printed null");

    public string[] ErrorLines => Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Runs it in the root of the working copy; whatever it says, none of it may be a trace of ours.</summary>
    public static Livepatch Run(params string[] arguments) => RunIn(LabFolder.Root, arguments);

    /// <summary>Runs it in a folder.</summary>
    public static Livepatch RunIn(string folder, params string[] arguments)
    {
        var run = Start(LongestRun, folder, Program, arguments);
        run.ShouldHaveNoTrace();
        return run;
    }

    /// <summary>Runs any program.</summary>
    public static Livepatch Start(string program, params string[] arguments) => Start(LongestRun, program, arguments);

    /// <summary>Runs a program that may take its time.</summary>
    public static Livepatch Start(TimeSpan longestRun, string program, params string[] arguments) => Start(longestRun, LabFolder.Root, program, arguments);

    private static Livepatch Start(TimeSpan longestRun, string folder, string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} does not start");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(longestRun))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} is not done after {longestRun}");
        }

        return new($"{Path.GetFileName(program)} {string.Join(' ', arguments)}", process.ExitCode, output.Result, errors.Result);
    }

    public void ShouldHaveNoTrace()
    {
        Errors.ShouldNotContain("   at ", customMessage: Command);
        Errors.ShouldNotContain("Unhandled exception", customMessage: Command);
        Errors.ShouldNotContain("bug of the lab", customMessage: Command);
    }

    /// <summary>Done, with nothing on stderr.</summary>
    public Livepatch ShouldBeDone()
    {
        Errors.ShouldBe("", Command);
        Status.ShouldBe(0, Command);
        return this;
    }

    /// <summary>Ended with a status, one line on stderr that has all of some texts, and nothing on stdout.</summary>
    public void ShouldComplain(int status, params string[] texts)
    {
        Status.ShouldBe(status, $"{Command}: {Errors}");
        Output.ShouldBe("", Command);
        var line = ErrorLines.ShouldHaveSingleItem(Command);
        foreach (var text in texts) line.ShouldContain(text, Case.Sensitive, Command);
    }
}
