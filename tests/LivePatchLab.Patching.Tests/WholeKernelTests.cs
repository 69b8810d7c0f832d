using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>
/// All CPUs run through the sites of a whole kernel while all of them are switched, under the worst fetch model. That nothing
/// bad is seen counts only because the same watching finds the violation as soon as a sync is left out.
/// </summary>
public sealed class WholeKernelTests
{
    private const int Cpus = 4;
    private const int SeedsMax = 40;

    public static TheoryData<string> EveryProtocol() => [.. Protocols.Kernel.Select(protocol => protocol.Name)];

    [Theory]
    [MemberData(nameof(EveryProtocol))]
    public void Every_cpu_runs_old_or_new_while_a_whole_kernel_is_switched_on_and_off(string engine)
    {
        var protocol = Protocols.Named(engine);
        for (var seed = 1UL; seed <= 3; seed++)
        {
            using var lab = Make(seed);
            var original = TextOf(lab);
            lab.RunGuests(20_000);
            lab.TracerCalls.ShouldBe(0);

            var on = lab.Switch(protocol, enable: true);
            on.IsGood.ShouldBeTrue($"seed {seed}: {on}");
            on.Sites.ShouldBe(35_051);
            ShouldCountEveryVisit(lab, seed);

            var off = lab.Switch(protocol, enable: false);
            off.IsGood.ShouldBeTrue($"seed {seed}: {off}");
            TextOf(lab).AsSpan().SequenceEqual(original).ShouldBeTrue($"seed {seed}: the text is not what it was at first");
            ShouldCountNoVisit(lab, seed);
        }
    }

    [Theory]
    [InlineData("text_poke_bp_list", TextPokeBpList.PhaseAdding, ViolationKind.TornInstruction)]
    [InlineData("text_poke_bp_list", TextPokeBpList.PhaseUpdating, ViolationKind.TornInstruction)]
    [InlineData("text_poke_bp_list", TextPokeBpList.PhaseFinishing, ViolationKind.StaleAfterCompletion)]
    [InlineData("text_poke_bp", TextPokeBp.PhaseBreakpoint, ViolationKind.TornInstruction)]
    [InlineData("text_poke_bp", TextPokeBp.PhaseTail, ViolationKind.TornInstruction)]
    [InlineData("text_poke_bp", TextPokeBp.PhaseFirstByte, ViolationKind.UnhandledException)]
    [InlineData("ftrace_2012", Ftrace2012.PhaseAdding, ViolationKind.TornInstruction)]
    [InlineData("ftrace_2012", Ftrace2012.PhaseFinishing, ViolationKind.StaleAfterCompletion)]
    public void Without_one_of_its_syncs_a_protocol_is_caught(string engine, string phase, ViolationKind expected)
    {
        var control = Protocols.Named(engine).Without(phase);
        var seen = new List<Violation>();
        for (var seed = 1UL; seed <= SeedsMax && seen.TrueForAll(v => v.Kind != expected); seed++)
        {
            using var lab = Make(seed);
            var run = lab.Switch(control, enable: true);
            if (run.IsGood) run = lab.Switch(control, enable: false);
            if (run.Violation is not null) seen.Add(run.Violation);
        }

        seen.ShouldContain(v => v.Kind == expected, $"{control.Name}: {SeedsMax} seeds showed {string.Join("; ", seen)}");
    }

    [Fact]
    public void A_violation_replays_from_its_seed()
    {
        PatchRun Run()
        {
            using var lab = Make(seed: 1);
            return lab.Switch(Protocols.TextPokeBpList.Without(TextPokeBpList.PhaseFinishing), enable: true);
        }

        var first = Run();
        first.Violation.ShouldNotBeNull();
        Run().ToJson(withHostSeconds: false).ToJsonString().ShouldBe(first.ToJson(withHostSeconds: false).ToJsonString());
    }

    [Fact]
    public void Under_the_ideal_model_the_syncs_after_int3_and_tail_are_not_needed()
    {
        foreach (var phase in new[] { TextPokeBpList.PhaseAdding, TextPokeBpList.PhaseUpdating })
        {
            for (var seed = 1UL; seed <= 10; seed++)
            {
                using var lab = new LabMachine(new LabMachineOptions { Cpus = Cpus, Sites = 8, Costs = CostPreset.Unit, Fetch = FetchModel.Ideal, Workload = Workload.Running, Seed = new(seed) });
                var run = lab.Switch(Protocols.TextPokeBpList.Without(phase), enable: true);
                run.IsGood.ShouldBeTrue($"seed {seed}: {run}");
            }
        }
    }

    [Fact]
    public void What_the_cpus_retire_is_what_the_tracer_counts()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 3, Sites = 12, Costs = CostPreset.Unit, Workload = Workload.Running });
        var sites = lab.Text.Sites.ToHashSet();
        long atSites = 0, calls = 0, traps = 0;
        lab.Machine.Events.Retired += e =>
        {
            if (sites.Contains(e.Rip)) atSites++;
            if (e.Rip == lab.Text.FtraceCaller) calls++;
        };
        lab.Machine.Events.Trapped += _ => traps++;

        foreach (var enable in new[] { true, false, true })
        {
            var run = lab.Switch(Protocols.TextPokeBpList, enable);
            run.IsGood.ShouldBeTrue(run.ToString());
            lab.RunGuests(500);
        }

        traps.ShouldBeGreaterThan(0);
        calls.ShouldBe(lab.TracerCalls);
        (lab.Visits - atSites).ShouldBeInRange(0, 3, "each CPU may be between counting a visit and executing the site");
        (calls + traps).ShouldBeLessThanOrEqualTo(atSites);
    }

    private static void ShouldCountEveryVisit(LabMachine lab, ulong seed)
    {
        var (visits, calls) = (lab.Visits, lab.TracerCalls);
        lab.RunGuests(50_000);
        (visits, calls) = (lab.Visits - visits, lab.TracerCalls - calls);
        visits.ShouldBeGreaterThan(0);
        Math.Abs(visits - calls).ShouldBeLessThanOrEqualTo(Cpus, $"seed {seed}: {visits} visits and {calls} calls, though every site calls the tracer");
    }

    private static void ShouldCountNoVisit(LabMachine lab, ulong seed)
    {
        var calls = lab.TracerCalls;
        lab.RunGuests(50_000);
        (lab.TracerCalls - calls).ShouldBeLessThanOrEqualTo(Cpus, $"seed {seed}: no site calls the tracer any more");
    }

    private static byte[] TextOf(LabMachine lab)
    {
        var start = lab.Text.Sites[0];
        return lab.Machine.Memory.Read(start, (int)(lab.Text.Sites[^1] + 64 - start));
    }

    private static LabMachine Make(ulong seed)
        => new(new LabMachineOptions { Cpus = Cpus, Costs = CostPreset.Unit, Fetch = FetchModel.SdmWorst, Workload = Workload.Running, Seed = new(seed) });
}
