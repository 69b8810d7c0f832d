using LivePatchLab.Linux;

namespace LivePatchLab.Experiments.Tests;

public sealed class SweepTests
{
    private static readonly SweepSpec Spec = new()
    {
        Engines = ["text_poke_bp", "text_poke_bp_list", "ftrace_2012", "stop_machine"],
        Sites = [1, 40],
        Cpus = [1, 3],
        Seeds = [1, 2],
    };

    [Theory]
    [InlineData("idle", "quiet-4")]
    [InlineData("running", "kvm-2")]
    [InlineData("loaded", "loaded-24")]
    public void One_host_thread_and_two_give_the_same_text(string workload, string costs)
    {
        var spec = Spec with { Workload = workload, Costs = costs };
        var alone = Sweep.Run(spec, parallelism: 1);
        var together = Sweep.Run(spec, parallelism: 2);
        together.ToJson().ToJsonString().ShouldBe(alone.ToJson().ToJsonString());
        alone.Runs.Count.ShouldBe(4 * 2 * 2 * 2);
        alone.Runs.ShouldAllBe(r => r.IsGood);
    }

    [Fact]
    public void Another_seed_gives_another_run_where_chance_matters()
    {
        var spec = Spec with { Engines = ["text_poke_bp"], Cpus = [3], Workload = "running" };
        var runs = Sweep.Run(spec).Runs;
        runs[0].StateHash.ShouldNotBe(runs[1].StateHash);
    }

    [Fact]
    public void Progress_comes_after_every_run_in_order()
    {
        var seen = new List<int>();
        Sweep.Run(Spec, parallelism: 2, p => seen.Add(p.Done));
        seen.ShouldBe(Enumerable.Range(1, 32));
    }

    [Fact]
    public void A_cancelled_sweep_gives_the_runs_that_are_finished_in_the_order_of_the_specification()
    {
        using var cancellation = new CancellationTokenSource();
        var part = Sweep.Run(Spec, 1, at => { if (at.Done == 5) cancellation.Cancel(); }, cancellation.Token);
        part.IsComplete.ShouldBeFalse();
        part.Interruption.ShouldBe("interrupted after 5 of 32 runs");
        part.Runs.Count.ShouldBe(5);

        var whole = Sweep.Run(Spec);
        whole.Interruption.ShouldBeNull();
        var states = whole.Runs.Select(run => run.ToJson(withHostSeconds: false).ToJsonString()).ToList();
        var places = part.Runs.Select(run => states.IndexOf(run.ToJson(withHostSeconds: false).ToJsonString())).ToList();
        places.ShouldAllBe(place => place >= 0);
        places.ShouldBe(places.Order());
    }

    [Fact]
    public void A_sweep_that_is_cancelled_before_any_run_is_finished_gives_nothing()
    {
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        Should.Throw<OperationCanceledException>(() => Sweep.Run(Spec, 1, cancellation: cancellation.Token));
    }

    [Theory]
    [InlineData("""{"engines": ["text_poke_bpp"], "sites": [1], "cpus": [2]}""", "Did you mean text_poke_bp?")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [1], "cpus": [5000]}""", "1 to 1024 CPUs")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [0], "cpus": [2]}""", "0 sites")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [1], "cpus": [2], "cost": "kvm-2"}""", "cost")]
    [InlineData("""{"engines": ["text_poke_bp"], "sites": [1], "cpus": [2], "costs": "kvm2"}""", "Did you mean kvm-2?")]
    [InlineData("{\n\"engines\": [\"text_poke_bp\"],,}", "spec.json:2:")]
    [InlineData("""{"sites": [1], "cpus": [2]}""", "engines")]
    public void A_bad_specification_is_one_line(string json, string expected)
    {
        var message = Should.Throw<BadInputException>(() => SweepSpec.Parse(json, "spec.json")).Message;
        message.ShouldContain(expected);
        message.ShouldNotContain("\n");
    }
}
