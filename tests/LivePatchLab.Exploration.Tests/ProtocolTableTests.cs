using LivePatchLab.Linux.Tests;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>The tables, made once for all tests of a run.</summary>
public sealed class ProtocolTables
{
    public IReadOnlyList<ProtocolVerdict> Verdicts { get; } = ProtocolTable.Explore();

    public IReadOnlyList<SyncVerdict> Syncs { get; } = ProtocolTable.ExploreSyncs();
}

/// <summary>Protocols by fetch models: the document is what comes out, promises hold, and those that do not are bugs that history knows.</summary>
public sealed class ProtocolTableTests(ProtocolTables tables) : IClassFixture<ProtocolTables>
{
    /// <summary>Set to write docs/verdicts.md anew instead of comparing it.</summary>
    private const string WriteVariable = "LIVEPATCH_WRITE_VERDICTS";

    private static readonly string Document = Path.Combine(LabFolder.Root, "docs", "verdicts.md");

    /// <summary>Promises that do not hold: what the protocol's own authors believed, and history corrected. Under every model, for none of them is about fetching.</summary>
    private static readonly Dictionary<string, (Invariants Broken, string Bug)> HistoricalBugs = new()
    {
        ["text_poke_bp_batch"] = (Invariants.DescriptorOutlivesHandlers, "B09: vec is NULL while nr_entries is not 0, met from the INT3 of another (285a54efe386)"),
        ["text_poke_bp_emulate"] = (Invariants.DescriptorOutlivesHandlers, "B09, as in 5.3"),
        ["text_poke_queue"] = (Invariants.DescriptorOutlivesHandlers, "B09, as in 5.3"),
        ["text_poke_bp_refcount"] = (Invariants.DescriptorOutlivesHandlers, "B10: the descriptor lies on the patcher's stack (efd608fa7403)"),
    };

    [Fact]
    public void The_document_is_what_comes_out()
    {
        var made = ProtocolTableText.Markdown(tables.Verdicts, tables.Syncs);
        if (Environment.GetEnvironmentVariable(WriteVariable) is { Length: > 0 }) File.WriteAllText(Document, made);
        File.ReadAllText(Document).ShouldBe(made, $"set {WriteVariable}=1 to write it anew");
    }

    [Fact]
    public void Every_protocol_is_there_under_every_model()
    {
        tables.Verdicts.Count.ShouldBe(ProtocolTable.Rows.Count * FetchModel.Presets.Count);
        tables.Verdicts.Select(v => v.Protocol).Distinct().ShouldBe(ProtocolTable.Rows.Select(r => r.Name));
    }

    [Fact]
    public void Every_pass_has_its_control_caught_in_the_same_run_on_something_that_is_promised()
    {
        var passes = tables.Verdicts.Where(v => v.Verdict == Verdict.Pass).ToArray();
        passes.ShouldNotBeEmpty();
        foreach (var pass in passes)
        {
            var control = pass.Result!.Control.ShouldNotBeNull();
            control.Verdict.ShouldBe(Verdict.Violation);
            pass.Promised.HasFlag(control.Counterexample!.Violation.Invariant).ShouldBeTrue($"{pass.Protocol} under {pass.Model}: {control.Counterexample.Violation}");
            pass.Result.IsExhaustive.ShouldBeTrue();
        }
    }

    [Fact]
    public void A_promise_holds_or_is_a_bug_that_history_knows()
    {
        foreach (var cell in tables.Verdicts.Where(v => v.Result is not null))
        {
            var (broken, bug) = HistoricalBugs.GetValueOrDefault(cell.Protocol);
            var what = $"{cell.Protocol} under {cell.Model}: {cell.Result!.Counterexample?.Violation} {cell.Result.Reason} {bug}";
            if (cell.Promised.HasFlag(broken) && broken != Invariants.None) cell.Broken.ShouldBe(broken, what);
            else cell.Verdict.ShouldBe(Verdict.Pass, what);
        }
    }

    [Fact]
    public void What_is_not_promised_does_not_hold_or_nobody_has_seen_it_fail_in_so_small_a_situation()
    {
        // So that no promise is smaller than it must be without anybody knowing.
        var kept = tables.Verdicts.Where(v => v.Beyond is { Counterexample: null }).Select(v => $"{v.Protocol} under {v.Model}: {v.Beyond!.Checked.Show()}");
        kept.ShouldBe([]);
    }

    [Fact]
    public void A_cell_counts_the_same_executions_again()
    {
        var cell = tables.Verdicts.First(v => v is { Verdict: Verdict.Pass, Model.Name: "amd-async" });
        var row = ProtocolTable.Rows.Single(r => r.Name == cell.Protocol);
        ProtocolTable.Explore(row.Name, row.Protocol, cell.Model).Result!.Executions.ShouldBe(cell.Result!.Executions);
    }
}
