using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace LivePatchLab.Frontends.Tests;

/// <summary>The test that the Jupyter project offers to kernels (jupyter_kernel_test 0.4.5 in Debian 12), against the installed kernel.</summary>
[Collection("Frontends")]
public sealed partial class KernelTestSuiteTests(FrontendSession session, ITestOutputHelper log)
{
    [FrontendFact("python3-jupyter-kernel-test")]
    public void The_kernel_passes_Jupyters_own_test_with_every_sample()
    {
        var (summary, results) = Run("LivePatchKernelTests");
        results.Where(result => result.Value != "ok").ShouldBeEmpty();
        results.Keys.ShouldBe(
            [
                "test_clear_output", "test_completion", "test_display_data", "test_error", "test_execute_result", "test_execute_stderr", "test_execute_stdout",
                "test_history", "test_inspect", "test_is_complete", "test_kernel_info", "test_pager",
            ],
            ignoreOrder: true);
        summary.ShouldBe("Ran 12 tests, OK");
    }

    [FrontendFact("python3-jupyter-kernel-test")]
    public void Samples_that_the_kernel_cannot_meet_are_found()
    {
        var (summary, results) = Run("WrongSamples");
        results.Where(result => result.Value is "FAIL" or "ERROR").Select(result => result.Key)
            .ShouldBe(["test_error", "test_execute_result", "test_execute_stdout", "test_is_complete"], ignoreOrder: true);
        results["test_kernel_info"].ShouldBe("ok");
        summary.ShouldStartWith("Ran 12 tests, FAILED (");
    }

    /// <summary>Runs one class of the script; the answer is its last line with the number of tests, and what became of each test.</summary>
    private (string Summary, SortedDictionary<string, string> Results) Run(string name)
    {
        var script = Path.Combine(LabFolder.Root, "tests", "LivePatchLab.Frontends.Tests", "livepatch_kernel_test.py");
        var (_, output, errors) = JupyterHome.Run(session.Jupyter.Python(script, name));
        log.WriteLine(output);
        log.WriteLine(errors);
        var results = new SortedDictionary<string, string>(StringComparer.Ordinal);
        // A test with subtests has a line for each that fails, below its own.
        foreach (Match result in Result().Matches(errors)) results.TryAdd(result.Groups["test"].Value, result.Groups["result"].Value);
        var ran = Summary().Match(errors);
        ran.Success.ShouldBeTrue(errors);
        return ($"Ran {ran.Groups["tests"].Value} tests, {ran.Groups["end"].Value}", results);
    }

    [GeneratedRegex(@"^\s*(?<test>test_\w+) \([^\n]*\.\.\. (?<result>ok|FAIL|ERROR|skipped)", RegexOptions.Multiline)]
    private static partial Regex Result();

    [GeneratedRegex(@"^Ran (?<tests>\d+) tests? in [^\n]*\n\n(?<end>[^\n]+)", RegexOptions.Multiline)]
    private static partial Regex Summary();
}
