using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>
/// Random sites of one to eight instructions, changed by random stores, all inside one word. What a CPU may do is worked out beside the lab (<see cref="RandomSite"/>): it is
/// given one version of the word after the other, never an older one behind a newer one. The checkers must say of every site what comes out there.
/// </summary>
public sealed class RandomSitesTests
{
    private const int Count = 40;

    private static readonly FetchModel[] WordByWord = [FetchModel.Ideal, FetchModel.IntelPractice, FetchModel.AmdAsync, FetchModel.ArmLike];

    private static RandomSite[] Sites { get; } = [.. Enumerable.Range(1, Count).Select(seed => new RandomSite(seed))];

    [Fact]
    public void I2_is_violated_where_a_cpu_can_be_given_what_is_no_instruction_of_either_code()
        => Disagreements(Invariants.NothingTorn, instead: null).ShouldBeEmpty();

    [Fact]
    public void I9_is_violated_where_a_pass_can_be_made_of_both_codes()
        => Disagreements(Invariants.EffectIsOldOrNew, instead: null).ShouldBeEmpty();

    [Fact]
    public void Both_happen_often_and_often_do_not()
    {
        Sites.Count(s => s.IsTorn()).ShouldBeInRange(Count / 5, Count * 4 / 5);
        Sites.Count(s => !s.IsTorn() && s.IsMixed()).ShouldBeGreaterThan(2);
        Sites.Count(s => !s.IsTorn() && !s.IsMixed()).ShouldBeGreaterThan(2);
        Sites.Count(s => s.OldLengths.Count > 1).ShouldBeGreaterThan(Count / 2);
    }

    [Fact]
    public void Who_takes_a_site_for_one_instruction_is_found_out()
        => Disagreements(Invariants.NothingTorn, () => new WholeSiteOnly()).Length.ShouldBeGreaterThan(Count / 5);

    [Fact]
    public void Who_takes_every_boundary_of_either_code_for_a_whole_instruction_is_found_out()
        => Disagreements(Invariants.NothingTorn, () => new AnyBoundary()).Length.ShouldBeGreaterThan(1);

    [Fact]
    public void Who_forgets_where_a_pass_began_is_found_out()
        => Disagreements(Invariants.EffectIsOldOrNew, () => new OneInstructionAtATime()).Length.ShouldBeGreaterThan(1);

    [Fact]
    public void What_is_torn_where_words_are_whole_is_torn_where_they_are_not()
    {
        foreach (var site in Sites.Where(s => s.IsTorn())) Violated(site, FetchModel.SdmWorst, Invariants.NothingTorn, instead: null).ShouldBe(Invariants.NothingTorn, site.ToString());
    }

    [Fact]
    public void Who_takes_a_block_as_it_was_mixes_nothing_and_is_given_what_is_torn_only_where_one_version_is()
    {
        var straight = Sites.Where(s => s.IsOneBlock).ToArray();
        straight.Length.ShouldBeGreaterThan(5);
        foreach (var site in straight)
            Violated(site, FetchModel.QemuTcg, Invariants.NothingTorn, instead: null).ShouldBe(site.IsTornInOneVersion() ? Invariants.NothingTorn : null, site.ToString());
        foreach (var site in straight.Where(s => !s.IsTornInOneVersion() && !s.IsMixedInOneVersion()))
            Violated(site, FetchModel.QemuTcg, Invariants.EffectIsOldOrNew, instead: null).ShouldBeNull(site.ToString());
    }

    private static string[] Disagreements(Invariants what, Func<Checker>? instead)
    {
        var found = new List<string>();
        foreach (var site in Sites)
        {
            // What is torn belongs to no pass.
            if (what == Invariants.EffectIsOldOrNew && site.IsTorn()) continue;
            var expected = what == Invariants.NothingTorn ? site.IsTorn() : site.IsMixed();
            foreach (var model in WordByWord)
                if ((Violated(site, model, what, instead) == what) != expected) found.Add($"{site} under {model} {(expected ? "must" : "must not")} violate {what.Show()}");
        }

        return [.. found];
    }

    private static Invariants? Violated(RandomSite site, FetchModel model, Invariants what, Func<Checker>? instead)
    {
        var result = ExplorationPlan.Of(() => new SeveralScenario(site.OldCode, site.NewCode, site.Store, what) { Instead = instead is null ? null : () => [instead()] }).Under(model).Run();
        if (result.Counterexample is null) result.IsExhaustive.ShouldBeTrue($"{site}: {result.Reason}");
        return result.Counterexample?.Violation.Invariant;
    }

    /// <summary>The rule for sites of one instruction.</summary>
    private sealed class WholeSiteOnly : Checker
    {
        public override Invariants Invariant => Invariants.NothingTorn;

        public override void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
        {
            var site = run.Sites[0];
            if (rip < site.Address || rip >= site.Address + site.Length || bytes.SequenceEqual(site.OldCode) || bytes.SequenceEqual(site.NewCode)) return;
            run.Report(Invariant, cpu, rip, "not the whole site");
        }
    }

    /// <summary>A rule that looks at where an instruction begins, and not at what it is.</summary>
    private sealed class AnyBoundary : Checker
    {
        public override Invariants Invariant => Invariants.NothingTorn;

        public override void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
        {
            var site = run.Sites[0];
            var into = (int)(rip - site.Address);
            if (into < 0 || into >= site.Length || site.OldInstructions.LengthAt(into) > 0 || site.NewInstructions.LengthAt(into) > 0) return;
            run.Report(Invariant, cpu, rip, "no boundary");
        }
    }

    /// <summary>A rule that looks at each instruction for itself.</summary>
    private sealed class OneInstructionAtATime : Checker
    {
        public override Invariants Invariant => Invariants.EffectIsOldOrNew;

        public override void OnRetired(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes)
        {
            var site = run.Sites[0];
            var into = (int)(rip - site.Address);
            if (into >= 0 && into < site.Length && site.Judge(into, bytes) == SiteFetch.Torn) run.Report(Invariant, cpu, rip, "torn");
        }
    }
}
