using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>I11: an INT3 that is not the patcher's stays where it is until its owner removes it, and every trap of it comes to its owner.</summary>
public sealed class ForeignInt3Survives : Checker
{
    private int[] _traps = new int[4];

    public override Invariants Invariant => Invariants.ForeignInt3Survives;

    public override void Begin(ScenarioRun run) => Array.Clear(_traps);

    public override void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame)
    {
        if (frame.Vector != TrapVector.Breakpoint) return;
        for (var i = 0; i < run.ForeignInt3s.Count; i++)
        {
            if (run.ForeignInt3s[i].Address != frame.Rip - 1) continue;
            if (i >= _traps.Length) Array.Resize(ref _traps, i + 4);
            _traps[i]++;
        }
    }

    public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
    {
        Span<byte> now = stackalloc byte[1];
        for (var i = 0; i < run.ForeignInt3s.Count; i++)
        {
            var foreign = run.ForeignInt3s[i];
            if (foreign.IsRemoved || address > foreign.Address || address + length <= foreign.Address) continue;
            if (run.Machine.Memory.TryRead(foreign.Address, now) && now[0] == BreakpointState.Int3) continue;
            run.Report(Invariant, cpu, foreign.Address, $"the INT3 at {foreign.Address}, which is {foreign.Owner}'s, is overwritten with {now[0]:x2}");
            return;
        }
    }

    public override void End(ScenarioRun run)
    {
        if (run.Machine.Fault is { Vector: TrapVector.Breakpoint } fault && run.ForeignInt3At(fault.Rip) is not null)
        {
            run.Report(Invariant, run.Machine.Cpus[fault.Cpu.Index], fault.Rip, MachineFailure.Describe(fault));
            return;
        }

        if (run.Machine.Fault is not null || run.Kernel.Bug is not null) return;
        foreach (var cpu in run.CpuArray)
            if (cpu.IsHandling(TrapVector.Breakpoint)) return;
        for (var i = 0; i < run.ForeignInt3s.Count && i < _traps.Length; i++)
        {
            var foreign = run.ForeignInt3s[i];
            if (foreign.Hits() >= _traps[i]) continue;
            run.Report(Invariant, run.Machine.Cpus[0], foreign.Address, $"the INT3 at {foreign.Address} has trapped {_traps[i]} times, and {foreign.Owner} has had {foreign.Hits()} of them");
            return;
        }
    }
}
