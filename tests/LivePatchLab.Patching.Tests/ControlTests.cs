using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>
/// Each protocol on a few sites that all CPUs run through all the time, under the worst fetch model, whole and with each of its three syncs left out.
/// The whole one must show nothing in as many switches as the others may take to be caught.
/// </summary>
public sealed class ControlTests
{
    private const int SeedsMax = 30;
    private const int SwitchesPerSeed = 24;

    public static TheoryData<string> Whole() => [.. Protocols.Kernel.Select(protocol => protocol.Name)];

    public static TheoryData<string, string> WithoutOneSync()
    {
        var data = new TheoryData<string, string>();
        foreach (var name in new[] { "ftrace_2014", "text_poke_bp_batch", "text_poke_bp_emulate", "text_poke_queue", "text_poke_bp_two_phase", "text_poke_bp_refcount", "text_poke_bp_global_desc", "text_poke_bp_per_cpu_refs", "smp_text_poke" })
        {
            string[] phases = name == "ftrace_2014"
                ? [Ftrace2014.PhaseAdding, Ftrace2014.PhaseUpdating, Ftrace2014.PhaseFinishing]
                : [TextPokePhase.Int3, TextPokePhase.Tails, TextPokePhase.FirstBytes];
            foreach (var phase in phases) data.Add(name, phase);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Whole))]
    public void A_whole_protocol_shows_nothing(string name) => Search(Protocols.Named(name)).ShouldBeNull();

    [Theory]
    [MemberData(nameof(WithoutOneSync))]
    public void Without_one_of_its_syncs_it_is_caught(string name, string phase)
        => Search(Protocols.Named(name).Without(phase)).ShouldNotBeNull($"{name} without the sync after {phase}: nothing in {SeedsMax} seeds").Kind
            .ShouldBeOneOf(ViolationKind.TornInstruction, ViolationKind.UnhandledException, ViolationKind.StaleAfterCompletion);

    private static Violation? Search(IPatchProtocol protocol)
    {
        for (var seed = 1UL; seed <= SeedsMax; seed++)
        {
            using var lab = new LabMachine(new LabMachineOptions { Cpus = 4, Sites = 6, Costs = CostPreset.Unit, Fetch = FetchModel.SdmWorst, Workload = Workload.Running, Seed = new(seed) });
            for (var i = 0; i < SwitchesPerSeed; i++)
            {
                var run = lab.Switch(protocol, enable: i % 2 == 0);
                if (run.Violation is not null) return run.Violation;
                run.IsGood.ShouldBeTrue($"{protocol.Name}, seed {seed}: {run}");
            }
        }

        return null;
    }
}
