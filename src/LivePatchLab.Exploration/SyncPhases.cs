using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>In which of a protocol's phases there is a sync, found out by running it once.</summary>
internal static class SyncPhases
{
    public static IReadOnlyList<string> Of(IPatchProtocol protocol, PatchShape shape)
    {
        using var machine = new ScenarioMachine(new PatchScenario(protocol, shape) { CheckedOnly = Invariants.None }, FetchModel.Ideal);
        var phases = new List<string>();
        machine.Machine.Events.Stepped += e =>
        {
            var phase = machine.Machine.Accounts.Current;
            if (e.Step is RunSync && !phases.Contains(phase)) phases.Add(phase);
        };
        var search = new ReplaySearch(new([]));
        search.TryBegin(0);
        machine.Execute(search, records: false);
        return phases;
    }
}
