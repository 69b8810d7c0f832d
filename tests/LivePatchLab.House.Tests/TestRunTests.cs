namespace LivePatchLab.House.Tests;

/// <summary>tests/run.sh in a tree of its own, with a dotnet that says of each project what the test wants said.</summary>
public sealed class TestRunTests : IDisposable
{
    private readonly TestRunTree _tree = new();

    public void Dispose() => _tree.Dispose();

    [LinuxFact]
    public void Totals_are_of_all_projects_and_the_longest_begin_first()
    {
        var (status, lines) = _tree.Run("*) counters 5 4 4 ;;", "Experiments", "House", "Exploration", "New");
        status.ShouldBe(0, string.Join('\n', lines));
        lines[^1].ShouldBe("16 passed, 0 failed, 4 skipped");
        Begun(lines).ShouldBe(["House", "Exploration", "Experiments", "New"]);
    }

    [LinuxFact]
    public void What_a_project_says_stays_together_though_another_runs_beside_it()
    {
        var (_, lines) = _tree.Run("*) echo \"one of $project\"; sleep 0.5; echo \"two of $project\"; counters 1 1 1 ;;", "House", "Machine", "Linux");
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
        var (status, lines) = _tree.Run("*Machine*) counters 3 3 2; exit 1 ;; *Linux*) kill -9 $$ ;; *Cli*) exit 1 ;; *) counters 1 1 1 ;;", "House", "Machine", "Linux", "Cli");
        status.ShouldBe(1);
        lines[^1].ShouldBe("3 passed, 3 failed");
        lines.ShouldContain("== LivePatchLab.Linux.Tests ended with status 137 though no test of it failed: counted as one failure");
        lines.ShouldContain("== LivePatchLab.Cli.Tests ended with status 1 though no test of it failed: counted as one failure");
        lines.ShouldNotContain(line => line.StartsWith("== LivePatchLab.Machine.Tests ended", StringComparison.Ordinal));
    }

    [LinuxFact]
    public void Nothing_passed_is_a_failure() => _tree.Run("*) : ;;", "House").Status.ShouldBe(1);

    [LinuxTheory]
    [InlineData("INT", 130, 1)]
    [InlineData("TERM", 143, 1)]
    [InlineData("INT", 130, 30)]
    public void A_run_that_is_broken_off_leaves_nothing_behind(string signal, int expected, int times)
    {
        // The signal comes when two are at work; who is in a hurry sends it again while the script is at stopping them.
        var (status, _) = _tree.Run($"*) sleep 300 & echo $! >>pids; [ \"$(wc -l <pids)\" -lt 2 ] || for _ in $(seq {times}); do kill -{signal} \"$(cat script.pid)\"; done; wait ;;", "House", "Machine", "Linux");
        status.ShouldBe(expected);
        var sleepers = File.ReadAllLines(_tree.At("pids"));
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
