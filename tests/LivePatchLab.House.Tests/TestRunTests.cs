using System.Diagnostics;

namespace LivePatchLab.House.Tests;

/// <summary>tests/run.sh in a tree of its own, with a dotnet that says of each project what the test wants said.</summary>
public sealed class TestRunTests : IDisposable
{
    private const string CountersLine = "echo \"<Counters total=\\\"$1\\\" executed=\\\"$2\\\" passed=\\\"$3\\\" failed=\\\"0\\\" />\" >\"artifacts/test-results/$project.trx\"";

    private readonly DirectoryInfo _tree = Directory.CreateTempSubdirectory("livepatch-");

    public void Dispose() => _tree.Delete(recursive: true);

    [LinuxFact]
    public void Totals_are_of_all_projects_and_the_longest_begin_first()
    {
        var (status, lines) = Run("*) counters 5 4 4 ;;", "Experiments", "House", "Exploration", "New");
        status.ShouldBe(0, string.Join('\n', lines));
        lines[^1].ShouldBe("16 passed, 0 failed, 4 skipped");
        Begun(lines).ShouldBe(["House", "Exploration", "Experiments", "New"]);
    }

    [LinuxFact]
    public void What_a_project_says_stays_together_though_another_runs_beside_it()
    {
        var (_, lines) = Run("*) echo \"one of $project\"; sleep 0.5; echo \"two of $project\"; counters 1 1 1 ;;", "House", "Machine", "Linux");
        foreach (var project in (string[])["House", "Machine", "Linux"])
        {
            var first = lines.IndexOf($"one of LivePatchLab.{project}.Tests");
            first.ShouldBeGreaterThan(0);
            lines[first - 1].ShouldStartWith($"== LivePatchLab.{project}.Tests, ");
            lines[first + 1].ShouldBe($"two of LivePatchLab.{project}.Tests");
        }
    }

    [LinuxFact]
    public void A_test_that_fails_and_a_project_that_dies_or_runs_nothing_are_failures()
    {
        var (status, lines) = Run("*Machine*) counters 3 3 2; exit 1 ;; *Linux*) kill -9 $$ ;; *Cli*) exit 1 ;; *) counters 1 1 1 ;;", "House", "Machine", "Linux", "Cli");
        status.ShouldBe(1);
        lines[^1].ShouldBe("3 passed, 3 failed");
        lines.ShouldContain("== LivePatchLab.Linux.Tests ended with status 137 though no test of it failed: counted as one failure");
        lines.ShouldContain("== LivePatchLab.Cli.Tests ended with status 1 though no test of it failed: counted as one failure");
        lines.ShouldNotContain(line => line.StartsWith("== LivePatchLab.Machine.Tests ended", StringComparison.Ordinal));
    }

    [LinuxFact]
    public void Nothing_passed_is_a_failure() => Run("*) : ;;", "House").Status.ShouldBe(1);

    [LinuxTheory]
    [InlineData("INT", 130, 1)]
    [InlineData("TERM", 143, 1)]
    [InlineData("INT", 130, 30)]
    public void A_run_that_is_broken_off_leaves_nothing_behind(string signal, int expected, int times)
    {
        // The signal comes when two are at work; who is in a hurry sends it again while the script is at stopping them.
        var (status, _) = Run($"*) sleep 300 & echo $! >>pids; [ \"$(wc -l <pids)\" -lt 2 ] || for _ in $(seq {times}); do kill -{signal} \"$(cat script.pid)\"; done; wait ;;", "House", "Machine", "Linux");
        status.ShouldBe(expected);
        var sleepers = File.ReadAllLines(Path.Combine(_tree.FullName, "pids"));
        sleepers.Length.ShouldBe(2);

        // They were sent the signal before the script ended, and die when they are given a processor next; left alone they would sleep for minutes.
        SpinWait.SpinUntil(() => !sleepers.Any(IsAlive), TimeSpan.FromSeconds(30)).ShouldBeTrue();
    }

    /// <summary>One that nobody has waited for is dead all the same.</summary>
    private static bool IsAlive(string pid)
    {
        try
        {
            return !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            // There is no such process, or it has gone while its state was read.
            return false;
        }
    }

    private static IEnumerable<string> Begun(List<string> lines)
        => lines.Where(line => line.EndsWith(".Tests begins", StringComparison.Ordinal)).Select(line => line.Split('.')[1]);

    /// <param name="cases">What the test run of a project does: cases of its name, in bash.</param>
    /// <param name="projects">Those that there are.</param>
    private (int Status, List<string> Lines) Run(string cases, params string[] projects)
    {
        foreach (var project in projects)
            Write($"tests/LivePatchLab.{project}.Tests/LivePatchLab.{project}.Tests.csproj", "");
        Write("tests/run.sh", File.ReadAllText(Path.Combine(LabFolder.Root, "tests", "run.sh")));
        WriteProgram("dotnet", $"[ \"$1\" = test ] || exit 0\nproject=$(basename \"$2\" .csproj)\ncounters() {{ {CountersLine}; }}\ncase $project in {cases} esac");
        // Nothing is to be installed for this.
        WriteProgram("apt-get", "exit 1");
        var start = new ProcessStartInfo("env", ["--default-signal=INT", "bash", "-c", "echo $$ >script.pid; exec bash tests/run.sh"])
        {
            WorkingDirectory = _tree.FullName,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["PATH"] = $"{_tree.FullName}/bin:{start.Environment["PATH"]}";
        start.Environment["LIVEPATCH_KERNELS"] = _tree.FullName;
        using var run = Process.Start(start) ?? throw new InvalidOperationException("bash does not start");
        run.StandardInput.Close();
        var output = run.StandardOutput.ReadToEnd();
        run.WaitForExit();
        return (run.ExitCode, [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries)]);
    }

    private void WriteProgram(string name, string text)
    {
        Write($"bin/{name}", $"#!/usr/bin/env bash\n{text}\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(Path.Combine(_tree.FullName, "bin", name), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private void Write(string path, string text)
    {
        var file = new FileInfo(Path.Combine(_tree.FullName, path));
        file.Directory!.Create();
        File.WriteAllText(file.FullName, text);
    }
}

/// <summary>A test of a script that wants GNU's env and timeout.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "tests/run.sh is for Linux";
    }
}

/// <summary>The same with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LinuxTheoryAttribute : TheoryAttribute
{
    public LinuxTheoryAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "tests/run.sh is for Linux";
    }
}
