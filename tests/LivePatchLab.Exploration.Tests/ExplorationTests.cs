using LivePatchLab.Machine;
using LivePatchLab.Patching;
using Xunit.Abstractions;

namespace LivePatchLab.Exploration.Tests;

public class ExplorationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("ideal")]
    [InlineData("sdm-worst")]
    public void The_protocol_of_the_kernel_passes_when_every_interleaving_is_run(string model)
    {
        var result = ExplorationPlan.Of(Protocols.TextPokeBp).Under(Model(model)).Run();
        Show(result);
        result.Verdict.ShouldBe(Verdict.Pass);
        result.IsExhaustive.ShouldBeTrue();
    }

    [Theory]
    [InlineData(TextPokeBp.PhaseBreakpoint, Invariants.NothingTorn)]
    [InlineData(TextPokeBp.PhaseTail, Invariants.NothingTorn)]
    [InlineData(TextPokeBp.PhaseFirstByte, Invariants.TrapsAreConsumed)]
    public void A_sync_that_is_left_out_is_missed_under_the_worst_model(string phase, Invariants invariant)
    {
        var result = ExplorationPlan.Of(Protocols.TextPokeBp.Without(phase)).Under(FetchModel.SdmWorst).Run();
        Show(result);
        result.Verdict.ShouldBe(Verdict.Violation);
        _ = invariant;
    }

    private static FetchModel Model(string name) => FetchModel.Presets.Single(m => m.Name == name);

    private void Show(ExplorationResult result)
    {
        output.WriteLine($"{result.Scenario} under {result.Model}: {result.Verdict} {result.Reason}, {result.Executions:N0} executions, {result.Transitions:N0} transitions, {result.HostSeconds:F3} s, {result.ExecutionsPerSecond:N0}/s, {result.Bound}");
        if (result.Counterexample is not { } found) return;
        output.WriteLine($"{found.Violation}; {found.Decisions}");
        foreach (var entry in found.Entries) output.WriteLine($"{entry.Ordinal,3} {entry.Cpu} {entry.Kind,-12} {entry.Routine,-14} {entry.Text} {(entry.IsStale ? "STALE " + Convert.ToHexStringLower([.. entry.Fetched]) : "")}");
    }
}
