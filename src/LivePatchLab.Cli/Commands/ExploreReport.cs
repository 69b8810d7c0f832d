using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LivePatchLab.Exploration;

namespace LivePatchLab.Cli;

/// <summary>What livepatch explore prints. Nothing here depends on how long anything took, so that two equal runs print the same.</summary>
internal static class ExploreReport
{
    /// <summary>The table of litmus tests, with what is not as expected below it.</summary>
    public static string ToText(IReadOnlyList<LitmusRow> rows, IReadOnlyList<(LitmusRow One, LitmusRow Other)> contradictions, IReadOnlyList<string> promoted, bool showsCounterexamples)
    {
        var text = new StringBuilder();
        var showsStrategy = rows.Select(r => r.Result.Strategy).Distinct().Count() > 1;
        var width = Math.Max(4, rows.Max(r => r.Test.Name.Length));
        text.AppendLine(CultureInfo.InvariantCulture, $"{"test".PadRight(width)}  {"model",-14}  {(showsStrategy ? $"{"strategy",-11}  " : "")}{"expected",-12}  {"verdict",-12}  {"executions",10}  {"control",10}  violated");
        foreach (var row in rows)
        {
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"{row.Test.Name.PadRight(width)}  {row.Model.Name,-14}  {(showsStrategy ? $"{row.Result.Strategy,-11}  " : "")}{row.Expected.Verdict.NameOf(),-12}  {row.Verdict.NameOf(),-12}  {row.Result.Executions,10:N0}  {ControlOf(row),10}  {row.Violated}{(row.IsAsExpected ? "" : row.IsOpen ? "  (left open)" : "  <-- differs")}").TrimEnd());
        }

        text.AppendLine();
        foreach (var row in rows.Where(r => !r.IsAsExpected && !r.IsOpen))
            text.AppendLine($"{row.Test.File}:{row.Expected.Line}: {row.Test.Name} under {row.Model.Name}, {row.Result.Strategy}: {row.Expected.Verdict.NameOf()} was expected, {row.Verdict.NameOf()} came out{(row.Reason is null ? "" : $": {row.Reason}")}");
        foreach (var (one, other) in contradictions)
            text.AppendLine($"{one.Test.Name} under {one.Model.Name}: {one.Result.Strategy} says {one.Verdict.NameOf()}, {other.Result.Strategy} says {other.Verdict.NameOf()}");
        foreach (var change in promoted) text.AppendLine(change);
        if (showsCounterexamples)
            foreach (var row in rows)
                if (row.Result.Counterexample is { } found) text.AppendLine(ToText(found)).AppendLine(CultureInfo.InvariantCulture, $"again: livepatch explore {row.Test.File} --model {row.Model.Name} --replay \"{found.Decisions}\"").AppendLine();
        var differing = rows.Count(r => !r.IsAsExpected && !r.IsOpen);
        text.Append(CultureInfo.InvariantCulture, $"{rows.Select(r => r.Test).Distinct().Count()} tests, {rows.Count} verdicts, {(differing == 0 ? "all as expected" : $"{differing} not as expected")}");
        return text.ToString();
    }

    /// <summary>A counterexample in columns, one a CPU, with the decisions that replay it.</summary>
    public static string ToText(Counterexample found)
        => $"{found.Scenario} under {found.Model.Name}: {found.Violation}\n{new InterleavingTable(found).ToString().TrimEnd()}\ndecisions {found.Decisions}\nstate {found.StateHash}";

    /// <summary>A protocol under each model.</summary>
    public static string ToText(IReadOnlyList<ExplorationResult> results)
    {
        var text = new StringBuilder(results[0].Scenario).AppendLine();
        foreach (var result in results)
        {
            text.AppendLine(string.Create(CultureInfo.InvariantCulture, $"{result.Model.Name,-14}  {result.Strategy,-11}  {result.Verdict.NameOf(),-12}  {result.Executions,10:N0} executions, {result.Bound}{(result.Reason is null ? "" : $"; {result.Reason}")}"));
            if (result.Counterexample is { } found) text.AppendLine(ToText(found));
            else foreach (var limit in result.NotProven) text.AppendLine($"  not proven: {limit}");
        }

        return text.ToString().TrimEnd();
    }

    public static JsonObject ToJson(IReadOnlyList<LitmusRow> rows, IReadOnlyList<(LitmusRow One, LitmusRow Other)> contradictions, IReadOnlyList<string> promoted) => new()
    {
        ["tests"] = rows.Select(r => r.Test).Distinct().Count(),
        ["asExpected"] = rows.All(r => r.IsAsExpected),
        ["rows"] = new JsonArray([.. rows.Select(JsonNode (row) => new JsonObject
        {
            ["test"] = row.Test.Name,
            ["file"] = row.Test.File,
            ["line"] = row.Expected.Line,
            ["model"] = row.Model.Name,
            ["strategy"] = row.Result.Strategy,
            ["expected"] = row.Expected.Verdict.NameOf(),
            ["verdict"] = row.Verdict.NameOf(),
            ["executions"] = row.Result.Executions,
            ["exhaustive"] = row.Result.IsExhaustive,
            ["bound"] = row.Result.Bound,
            ["violated"] = row.Violated,
            ["reason"] = row.Reason,
            ["control"] = row.Result.Control?.Verdict.NameOf(),
            ["counterexample"] = row.Result.Counterexample is { } found ? ToJson(found) : null,
        })]),
        ["contradictions"] = new JsonArray([.. contradictions.Select(JsonNode (c) => $"{c.One.Test.Name} under {c.One.Model.Name}: {c.One.Result.Strategy} {c.One.Verdict.NameOf()}, {c.Other.Result.Strategy} {c.Other.Verdict.NameOf()}")]),
        ["promoted"] = new JsonArray([.. promoted.Select(JsonNode (p) => p)]),
    };

    public static JsonArray ToJson(IReadOnlyList<ExplorationResult> results) => new([.. results.Select(JsonNode (result) => new JsonObject
    {
        ["scenario"] = result.Scenario,
        ["model"] = result.Model.Name,
        ["strategy"] = result.Strategy,
        ["verdict"] = result.Verdict.NameOf(),
        ["executions"] = result.Executions,
        ["exhaustive"] = result.IsExhaustive,
        ["bound"] = result.Bound,
        ["reason"] = result.Reason,
        ["control"] = result.Control?.Verdict.NameOf(),
        ["counterexample"] = result.Counterexample is { } found ? ToJson(found) : null,
    })]);

    /// <summary>A counterexample with the decisions that replay it.</summary>
    public static JsonObject ToJson(Counterexample found) => new()
    {
        ["violation"] = found.Violation.ToString(),
        ["decisions"] = found.Decisions.ToString(),
        ["stateHash"] = found.StateHash.ToString(),
        ["entries"] = new JsonArray([.. found.Entries.Select(JsonNode (e) => new JsonObject { ["cpu"] = e.Cpu.Index, ["kind"] = e.Kind.ToString(), ["text"] = e.Text })]),
    };

    private static string ControlOf(LitmusRow row) => row.Result.Control is { } control ? control.Verdict == Verdict.Violation ? "caught" : "missed" : "";
}
