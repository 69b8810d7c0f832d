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

    /// <summary>Cells that depth-first search cannot decide, and why.</summary>
    private static readonly Dictionary<string, string> Undecided = new()
    {
        ["word_patch under arm-like"] = "its handler goes back to the INT3, which a cache that nobody maintains may give for ever: such executions have no end",
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
        tables.Verdicts.Count.ShouldBe(Protocols.All.Sum(p => ProtocolTable.ShapesOf(p).Count) * FetchModel.Presets.Count);
        tables.Verdicts.Select(v => v.Protocol).Distinct().ShouldBe(Protocols.All.Select(p => p.Name));
        tables.Verdicts.GroupBy(v => v.Row).ShouldAllBe(row => row.Select(v => v.Model).SequenceEqual(FetchModel.Presets));
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
            else cell.Verdict.ShouldBe(Undecided.ContainsKey($"{cell.Protocol} under {cell.Model}") ? Verdict.Inconclusive : Verdict.Pass, what);
        }
    }

    [Fact]
    public void What_is_not_promised_does_not_hold_or_nobody_has_seen_it_fail_in_so_small_a_situation()
    {
        // So that no promise is smaller than it must be without anybody knowing. What Native Client does by one store is torn where no word is whole; here it does nothing so.
        // A sled of XRay's is turned on by stores to two words, and off by one inside a word.
        var kept = tables.Verdicts.Where(v => v.Beyond is { Counterexample: null }).Select(v => $"{v.Row} under {v.Model}: {v.Beyond!.Checked.Show()}");
        kept.ShouldBe(["nacl_dyncode under sdm-worst: I2", "xray_sled, off under amd-async: I2, I9", "xray_sled, off under arm-like: I2, I9"]);
    }

    [Fact]
    public void A_cell_counts_the_same_executions_again()
    {
        var cell = tables.Verdicts.First(v => v is { Verdict: Verdict.Pass, Model.Name: "amd-async" });
        ProtocolTable.Explore(Protocols.Named(cell.Protocol), cell.Model).Result!.Executions.ShouldBe(cell.Result!.Executions);
    }

    [Fact]
    public void As_Intel_practises_it_only_the_last_sync_is_needed_wherever_the_site_lies()
    {
        // "very likely not necessary" on Intel, says commit fd4363fff3d9 of the second; and a processor whose fetches are whole does not need the first either.
        foreach (var sync in tables.Syncs.Where(s => s.Model == FetchModel.IntelPractice)) sync.IsNeeded.ShouldBe(IsLast(sync), $"{sync}");
    }

    [Fact]
    public void Where_words_are_whole_the_first_two_are_needed_for_sites_in_two_words()
    {
        foreach (var sync in tables.Syncs.Where(s => s.Model == FetchModel.AmdAsync)) sync.IsNeeded.ShouldBe(IsLast(sync) || sync.SiteOffset != 0, $"{sync}");
    }

    [Fact]
    public void As_the_manuals_allow_it_all_are_needed()
    {
        foreach (var sync in tables.Syncs.Where(s => s.Model == FetchModel.SdmWorst)) sync.IsNeeded.ShouldBe(true, $"{sync}");
    }

    [Fact]
    public void The_last_drains_the_handlers_even_where_every_store_is_seen_at_once()
    {
        foreach (var sync in tables.Syncs.Where(s => s.Model == FetchModel.Ideal)) sync.IsNeeded.ShouldBe(IsLast(sync), $"{sync}");
        tables.Syncs.Where(s => s.Model == FetchModel.Ideal && s.IsNeeded == true).Select(s => s.Violated).Distinct().ShouldBe([Invariants.TrapsAreConsumed, Invariants.DescriptorOutlivesHandlers]);
    }

    private static bool IsLast(SyncVerdict sync)
        => sync.Phase is TextPokeBp.PhaseFirstByte or TextPokeBpList.PhaseFinishing or TextPokePhase.FirstBytes or TextPokePhase.Clearing;
}
