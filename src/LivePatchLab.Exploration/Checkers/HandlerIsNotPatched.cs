using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// I8: the handler of #BP takes no #BP itself, whether by a function that it calls or by one that stands in its way. An NMI that comes in while it runs may, for
/// that is another handler's.
/// </summary>
public sealed class HandlerIsNotPatched : Checker
{
    public override Invariants Invariant => Invariants.HandlerIsNotPatched;

    public override bool RemembersEvents => false;

    public override void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame)
    {
        if (frame.Vector == TrapVector.Breakpoint && cpu.HandledException == TrapVector.Breakpoint)
            run.Report(Invariant, cpu, frame.Rip - 1, $"#BP at {frame.Rip - 1} inside the handler of #BP");
    }
}
