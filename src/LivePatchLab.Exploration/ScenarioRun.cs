using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>One execution of a scenario: its machine and kernel, what is patched in it, and what was found wrong.</summary>
public sealed class ScenarioRun
{
    private readonly List<PatchSite> _sites = [];

    internal ScenarioRun(SmpMachine machine) => Machine = machine;

    public SmpMachine Machine { get; }

    /// <summary>This execution's own, with nothing registered yet when it begins.</summary>
    public LinuxKernel Kernel { get; private set; } = null!;

    /// <summary>What is patched. The checkers look here.</summary>
    public IReadOnlyList<PatchSite> Sites => _sites;

    /// <summary>True once the patcher has returned.</summary>
    public bool IsPatched { get; private set; }

    /// <summary>True when the protocol has said that it failed: then old code may stand where new code should.</summary>
    public bool HasFailed { get; set; }

    /// <summary>What was violated first, or null.</summary>
    public InvariantViolation? Violation { get; private set; }

    internal Action? Patched { get; set; }

    /// <summary>Names the sites of this execution.</summary>
    public void AddSite(PatchSite site) => _sites.Add(site);

    /// <summary>A step, for the end of a patcher's routine: it has returned, and from now on only the new code may be seen.</summary>
    public KernelStep MarkPatched() => new PatchedMark(this);

    /// <summary>An invariant does not hold: ends the execution.</summary>
    public void Report(Invariants invariant, Cpu cpu, GuestAddress address, string detail)
    {
        Violation ??= new(invariant, cpu.Id, cpu.ClockCycles, address, detail);
        Machine.RequestStop();
    }

    internal void Restart()
    {
        Kernel = new(Machine);
        _sites.Clear();
        IsPatched = false;
        HasFailed = false;
        Violation = null;
    }

    private sealed class PatchedMark(ScenarioRun run) : KernelStep
    {
        public override string Describe() => "the patcher has returned";

        protected override long Execute(Cpu cpu)
        {
            run.IsPatched = true;
            run.Patched?.Invoke();
            return 0;
        }
    }
}
