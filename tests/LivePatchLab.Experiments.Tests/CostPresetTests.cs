using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class CostPresetTests
{
    [Fact]
    public void Every_figure_of_every_preset_has_a_source()
    {
        foreach (var preset in CostPreset.All)
            foreach (var (name, figure) in preset.Costs.Figures())
                figure.Source.ShouldNotBeNullOrWhiteSpace($"{preset.Name}.{name}");
    }

    [Theory]
    [InlineData("quiet-4", 4, 1.5, 3.0)]
    [InlineData("seed-2013", 4, 2.5, 2.9)]
    [InlineData("kvm-2", 2, 1.5, 3.0)]
    [InlineData("loaded-24", 24, 300, 480)]
    public void A_synchronisation_costs_what_the_sources_of_the_preset_say(string name, int cpus, double lowMicroseconds, double highMicroseconds)
    {
        // Not a figure of the preset: it comes about from IPIs, entries, handlers, and CPUs that have their interrupts off.
        using var lab = new LabMachine(new LabMachineOptions { Cpus = cpus, Sites = 200, Costs = CostPreset.Named(name) });
        var run = lab.Switch(Protocols.TextPokeBp, enable: true);
        var pokes = lab.Machine.Costs.SecondsOf(3 * 200 * lab.Machine.Costs.TextPoke.Cycles);
        var perSync = (run.SimulatedSeconds - pokes) / run.SyncRounds * 1e6;
        perSync.ShouldBeInRange(lowMicroseconds, highMicroseconds);
    }
}
