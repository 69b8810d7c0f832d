using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>The plain situation is one in which a torn call can be told from a whole one, wherever it lies.</summary>
public sealed class PatchScenarioTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(61)]
    public void A_call_across_quadwords_is_torn_without_the_sync_in_the_middle(int offset)
    {
        var protocol = Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail);

        // Asked for nothing else: the order of the writes is broken before anything is fetched.
        var owes = new IteratorProtocol(protocol.Name, (kernel, sites) => protocol.Attach(kernel.Kernel).Apply(kernel, sites)) { Promises = Invariants.NothingTorn };
        var result = ExplorationPlan.Of(owes, new PatchShape { SiteOffset = offset }).Under(FetchModel.AmdAsync).Run();
        result.Verdict.ShouldBe(Verdict.Violation);
        result.Counterexample!.Violation.Invariant.ShouldBe(Invariants.NothingTorn);
    }

    [Fact]
    public void The_control_is_caught_at_every_place_of_a_line()
    {
        for (var offset = 0; offset < 64; offset++)
            ExplorationPlan.Of(Protocols.TextPokeBp, new PatchShape { SiteOffset = offset }).Under(FetchModel.Ideal).Run().Verdict.ShouldBe(Verdict.Pass, $"offset {offset}");
    }
}
