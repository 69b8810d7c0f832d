using System.Globalization;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>What an exploration found, in one line. No time of this computer is in it, so equal explorations have equal lines.</summary>
public static class ExplorationSummary
{
    /// <summary>"Violation of I2 after 37 executions, 9 decisions"; "Pass: all 41,210 executions under all interleavings; control caught after 3".</summary>
    public static string Of(ExplorationResult result) => result.Verdict switch
    {
        Verdict.Violation => result.Counterexample is { } found
            ? $"Violation of {found.Violation.Invariant.Show()} after {Plural(found.Executions, "execution")}, {Plural(found.Decisions.Count, "decision")}"
            : $"Violation after {Plural(result.Executions, "execution")}",
        Verdict.Pass => $"Pass: {Covered(result)}; {ControlOf(result)}",
        Verdict.Inconclusive => $"Inconclusive: {result.Reason ?? "the search decided nothing"} ({Covered(result)}; {ControlOf(result)})",
        _ => $"Unsupported: {result.Reason ?? "the machine lacks something that the scenario asks for"}",
    };

    /// <summary>"all 41,210 executions under all interleavings", "10,000 executions, bound 10,000 seeds".</summary>
    public static string Covered(ExplorationResult result) => result.IsExhaustive
        ? $"all {Plural(result.Executions, "execution")} under {result.Bound}"
        : $"{Plural(result.Executions, "execution")}, {result.Bound}";

    /// <summary>What became of the deliberately wrong twin.</summary>
    public static string ControlOf(ExplorationResult result) => result.Control switch
    {
        null => "no control was run",
        { Verdict: Verdict.Violation } control => $"control caught after {Count(control.Counterexample?.Executions ?? control.Executions)}",
        var control => $"control not caught in {Count(control.Executions)}",
    };

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Plural(long count, string what) => $"{Count(count)} {what}{(count == 1 ? "" : "s")}";
}
