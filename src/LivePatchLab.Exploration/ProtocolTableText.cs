using System.Globalization;
using System.Text;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The tables as the document docs/verdicts.md has them.</summary>
public static class ProtocolTableText
{
    /// <summary>All of the document.</summary>
    public static string Markdown(IReadOnlyList<ProtocolVerdict> verdicts, IReadOnlyList<SyncVerdict> syncs)
    {
        var text = new StringBuilder();
        text.AppendLine("""
            # Verdicts: every protocol under every fetch model

            Made by the lab itself: `ProtocolTable.Explore()` and `ProtocolTable.ExploreSyncs()`; a test compares. Each cell is a depth-first search through all interleavings,
            and all versions of code that a fetch may see, of one small situation: one patcher, one site, one CPU that comes by once. A Pass says that what the protocol promises
            under the model holds in all of them, and that in the same run a wrong twin was caught. It says nothing of larger situations. The numbers I1 to I12 are those of
            `Invariants`. "Unpromised I2 fails" tells what the protocol does not promise under this model, though under others, and what indeed does not hold.

            """);
        Matrix(text, verdicts);
        Details(text, verdicts);
        Syncs(text, syncs);
        return text.ToString().ReplaceLineEndings("\n");
    }

    private static void Matrix(StringBuilder text, IReadOnlyList<ProtocolVerdict> verdicts)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"| protocol | {string.Join(" | ", FetchModel.Presets.Select(m => m.Name))} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"|---|{string.Concat(FetchModel.Presets.Select(_ => "---|"))}");
        foreach (var row in verdicts.GroupBy(v => v.Row))
            text.AppendLine(CultureInfo.InvariantCulture, $"| {row.Key} | {string.Join(" | ", row.Select(v => v.Show()))} |");
    }

    private static void Details(StringBuilder text, IReadOnlyList<ProtocolVerdict> verdicts)
    {
        text.AppendLine();
        text.AppendLine("## With their controls");
        foreach (var row in verdicts.GroupBy(v => v.Row))
        {
            text.AppendLine();
            text.AppendLine(CultureInfo.InvariantCulture, $"**{row.Key}**: {row.First().Shape}");
            text.AppendLine();
            text.AppendLine("| model | promised | verdict | executions | control | its verdict |");
            text.AppendLine("|---|---|---|---:|---|---|");
            foreach (var cell in row)
                text.AppendLine(CultureInfo.InvariantCulture, $"| {cell.Model.Name} | {cell.Promised.Show()} | {cell.Show()} | {cell.Result?.Executions ?? cell.Beyond?.Executions ?? 0:N0} | {ControlOf(cell.Result)} |");
        }
    }

    private static string ControlOf(ExplorationResult? result)
    {
        if (result?.Control is not { } control) return "- | -";
        var name = control.Scenario[..control.Scenario.IndexOf(':', StringComparison.Ordinal)];
        var shape = control.Scenario.EndsWith("before the flush", StringComparison.Ordinal) ? ", site before the flush" : "";
        return $"{name}{shape} | {(control.Counterexample is { } found ? $"violates {found.Violation.Invariant.Show()}" : control.Verdict.ToString())}";
    }

    private static void Syncs(StringBuilder text, IReadOnlyList<SyncVerdict> syncs)
    {
        text.AppendLine();
        text.AppendLine("""
            ## Which sync is needed

            What is violated when one sync is left out, with the site inside an aligned word (offset 0), across two words (5), and across two lines (61). Asked is what can be
            observed, so neither I3 nor I4, which are about the syncs themselves. Where the instruction cache is not coherent (arm-like) the protocols promise nothing that a
            sync could keep.
            """);
        foreach (var protocol in syncs.GroupBy(s => s.Protocol))
        {
            text.AppendLine();
            text.AppendLine(CultureInfo.InvariantCulture, $"| {protocol.Key}: without the sync after | offset | {string.Join(" | ", FetchModel.Presets.Select(m => m.Name))} |");
            text.AppendLine(CultureInfo.InvariantCulture, $"|---|---:|{string.Concat(FetchModel.Presets.Select(_ => "---|"))}");
            foreach (var row in protocol.GroupBy(s => (s.Phase, s.SiteOffset)))
                text.AppendLine(CultureInfo.InvariantCulture, $"| {row.Key.Phase} | {row.Key.SiteOffset} | {string.Join(" | ", row.Select(s => s.Show()))} |");
        }
    }
}
