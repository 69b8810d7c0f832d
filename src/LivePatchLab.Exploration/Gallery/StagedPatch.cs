using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The plain situation with what a bug needs beside it: other memory, other people's probes, failures on purpose, an oracle of its own.</summary>
internal sealed class StagedPatch(IPatchProtocol protocol, PatchShape? shape = null) : Scenario
{
    private readonly PatchScenario _plain = new(protocol, shape);

    public override string Name => _plain.Name;

    public override int Cpus => _plain.Cpus;

    public override MemoryOrder MemoryOrder => _plain.MemoryOrder;

    /// <summary>What is checked; null for what the protocol promises.</summary>
    public Invariants? Checked { get; init; }

    /// <summary>More memory, or other permissions.</summary>
    public Action<SmpMachine>? Ground { get; init; }

    /// <summary>What is done when everybody has been started, and nobody has run.</summary>
    public Action<ScenarioRun>? Cue { get; init; }

    public Func<Checker>? Oracle { get; init; }

    /// <summary>Makes the page of text writable where it is executed, as that of modules was when ftrace learnt to recover.</summary>
    public static void MakeTextWritable(SmpMachine machine)
        => machine.Memory.Map(PatchProgram.Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);

    public override Invariants CheckedUnder(FetchModel model) => Checked ?? _plain.CheckedUnder(model);

    public override void LayOut(SmpMachine machine)
    {
        _plain.LayOut(machine);
        Ground?.Invoke(machine);
    }

    public override void Begin(ScenarioRun run)
    {
        _plain.Begin(run);
        Cue?.Invoke(run);
    }

    public override IEnumerable<Checker> MakeCheckers() => Oracle is null ? [] : [Oracle()];
}
