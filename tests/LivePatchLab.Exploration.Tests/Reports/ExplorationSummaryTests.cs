namespace LivePatchLab.Exploration.Tests;

public sealed class ExplorationSummaryTests
{
    [Fact]
    public void Every_verdict_is_one_line()
    {
        ExplorationSummary.Of(HandMade.Found(HandMade.TornCall)).ShouldBe("Violation of I2 after 37 executions, 6 decisions");
        ExplorationSummary.Of(HandMade.Passed).ShouldBe("Pass: all 41,210 executions under all interleavings; control caught after 3");
        ExplorationSummary.Of(HandMade.Passed with { IsExhaustive = false, Bound = "10,000 seeds", Executions = 10_000, Control = null }).ShouldBe("Pass: 10,000 executions, 10,000 seeds; no control was run");
        ExplorationSummary.Of(HandMade.Passed with { Verdict = Verdict.Inconclusive, Reason = "the control was not caught", Control = HandMade.Passed with { Executions = 9 } })
            .ShouldBe("Inconclusive: the control was not caught (all 41,210 executions under all interleavings; control not caught in 9)");
        ExplorationSummary.Of(HandMade.Passed with { Verdict = Verdict.Unsupported, Reason = "there is no user mode" }).ShouldBe("Unsupported: there is no user mode");
    }

    [Fact]
    public void One_is_not_many()
        => ExplorationSummary.Of(HandMade.Found(HandMade.TornCall with { Executions = 1, Decisions = DecisionList.Parse("s1") })).ShouldBe("Violation of I2 after 1 execution, 1 decision");
}
