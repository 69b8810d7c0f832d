using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

/// <summary>What is done faster while nobody looks must come to the same as what observers are shown step by step.</summary>
public sealed class ObservedRunTests
{
    public static TheoryData<string, Workload, string> Runs()
    {
        var runs = new TheoryData<string, Workload, string>();
        foreach (var protocol in (string[])["ftrace_2012", "text_poke_bp", "text_poke_bp_list", "stop_machine", "smp_text_poke"])
            foreach (var workload in Enum.GetValues<Workload>())
                foreach (var fetch in FetchModel.Presets) runs.Add(protocol, workload, fetch.Name);
        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Observers_change_neither_counters_nor_clocks_nor_the_account_nor_the_hash(string protocol, Workload workload, string fetch)
    {
        var seen = new Seen();
        Run(protocol, workload, fetch, seen).ShouldBe(Run(protocol, workload, fetch, null));
        seen.Steps.ShouldBeGreaterThan(0);
        seen.Stores.ShouldBeGreaterThan(0);
        seen.Ipis.ShouldBeGreaterThan(0);
        seen.HandlersLeft.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void An_observer_may_come_and_go_between_two_switches()
    {
        string Switches(bool observed)
        {
            using var lab = Make(Workload.Idle, FetchModel.SdmWorst);
            var text = lab.Switch(Protocols.TextPokeBp, enable: true).ToJson(withHostSeconds: false).ToJsonString();
            var ipis = 0;
            void Count(IpiEvent _) => ipis++;
            if (observed) lab.Machine.Events.IpiTaken += Count;
            text += lab.Switch(Protocols.TextPokeBp, enable: false).ToJson(withHostSeconds: false).ToJsonString();
            if (observed) lab.Machine.Events.IpiTaken -= Count;
            ipis.ShouldBe(observed ? 3 * 12 * 3 : 0);
            return text + lab.Switch(Protocols.TextPokeBp, enable: true).ToJson(withHostSeconds: false).ToJsonString();
        }

        Switches(observed: true).ShouldBe(Switches(observed: false));
    }

    [Theory]
    [InlineData("ideal")]
    [InlineData("intel-practice")]
    [InlineData("amd-async")]
    [InlineData("sdm-worst")]
    [InlineData("qemu-tcg")]
    public void Who_looks_at_fetches_from_dirty_lines_changes_nothing_of_what_is_fetched(string fetch)
    {
        var fetched = 0;
        string Patched(ulong seed, bool observed)
        {
            using var lab = new LabMachine(new() { Cpus = 8, Sites = 20, Seed = new(seed), Workload = Workload.Running, Fetch = FetchModel.Presets.Single(model => model.Name == fetch), Costs = CostPreset.Unit, QuantumCyclesMax = 200 });
            if (observed) lab.Machine.Events.DirtyFetched += (_, _, _, _, _) => fetched++;
            var patcher = Protocols.TextPokeBp.Attach(lab.Kernel);
            var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
            foreach (var site in lab.SitesFor(enable: true))
            {
                KernelStep[] steps = [context.TextMutex.Acquire(), KernelStep.Call(patcher.Apply(context, [site])), context.TextMutex.Release()];
                lab.Machine.Run(lab.Machine.Cpus[0].Start("patch", steps)).ShouldBe(MachineStop.Completed);
                lab.RunGuests(cycles: 500).ShouldBe(MachineStop.ClockLimit);
            }

            return $"{lab.Machine.Hash()} {lab.TracerCalls} {lab.Visits}";
        }

        Patched(seed: 1, observed: false).ShouldBe(Patched(seed: 1, observed: true));
        Patched(seed: 2, observed: false).ShouldNotBe(Patched(seed: 1, observed: false), "the hash holds what chance decides");
        if (fetch == "sdm-worst") fetched.ShouldBeGreaterThan(100);
    }

    [Fact]
    public void A_step_that_serves_many_sites_is_recorded_with_the_place_that_it_wrote()
    {
        using var lab = Make(Workload.Idle, FetchModel.SdmWorst);
        var recording = Patch.All().With(Protocols.TextPokeBp).Record(lab);
        var writes = recording.Spans.Where(span => span.Kind == SpanKind.Write).Select(span => span.Text).ToList();
        writes.Count.ShouldBe(3 * 12);
        for (var i = 0; i < 12; i++)
        {
            var ip = lab.Records.Records[i].Ip;
            writes[3 * i].ShouldBe($"text_poke {ip}: cc");
            writes[(3 * i) + 1].ShouldStartWith($"text_poke {ip + 1}: ");
            writes[(3 * i) + 2].ShouldBe($"text_poke {ip}: e8");
        }
    }

    private static string Run(string protocol, Workload workload, string fetch, Seen? seen)
    {
        using var lab = Make(workload, FetchModel.Presets.Single(model => model.Name == fetch));
        if (seen is not null) seen.Listen(lab.Machine.Events);
        var runs = ((bool[])[true, false]).Select(enable => lab.Switch(Protocols.Named(protocol), enable).ToJson(withHostSeconds: false).ToJsonString()).ToList();
        return string.Join('\n', runs.Concat(lab.Machine.Cpus.Select(cpu => $"{cpu.Id}: clock {cpu.ClockCycles}, {cpu.RetiredInstructions} instructions, rip {cpu.Rip}")));
    }

    private static LabMachine Make(Workload workload, FetchModel fetch) => new(new() { Cpus = 4, Sites = 12, Costs = CostPreset.Loaded24, Fetch = fetch, Workload = workload });

    private sealed class Seen
    {
        public int Steps { get; private set; }

        public int Stores { get; private set; }

        public int Ipis { get; private set; }

        public int HandlersLeft { get; private set; }

        public void Listen(MachineEvents events)
        {
            events.Stepped += _ => Steps++;
            events.CodeStored += _ => Stores++;
            events.IpiTaken += _ => Ipis++;
            events.HandlerLeft += _ => HandlersLeft++;
        }
    }
}
