using System.Runtime.InteropServices;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>One execution of a scenario: its machine and kernel, what is patched in it, and what was found wrong.</summary>
public sealed class ScenarioRun
{
    private readonly List<PatchSite> _sites = [];
    private readonly List<ForeignInt3> _foreignInt3s = [];
    private readonly List<(Cpu Cpu, int Least, int Most)> _expectedEffects = [];
    private readonly GuestAddress?[] _trappedLast;
    private readonly PatchedMark _patchedMark;
    private readonly PatchContext _context;
    private PatchSite[] _siteArray = [];
    private bool _isContextInUse;

    internal ScenarioRun(SmpMachine machine)
    {
        Machine = machine;
        CpuArray = [.. machine.Cpus];
        _trappedLast = new GuestAddress?[machine.Cpus.Count];
        _patchedMark = new(this);
        Kernel = new(machine);
        _context = new(Kernel, machine.Cpus[0]);
    }

    public SmpMachine Machine { get; }

    /// <summary>It has booted just now when an execution begins, with nothing registered yet.</summary>
    public LinuxKernel Kernel { get; }

    /// <summary>What is patched. The checkers look here.</summary>
    public IReadOnlyList<PatchSite> Sites => _sites;

    /// <summary>INT3s that are not the patcher's.</summary>
    public IReadOnlyList<ForeignInt3> ForeignInt3s => _foreignInt3s;

    /// <summary>How many effects of old and new instructions a CPU must have counted, in the registers of <see cref="PatchScenario"/>, when it is through.</summary>
    public IReadOnlyList<(Cpu Cpu, int Least, int Most)> ExpectedEffects => _expectedEffects;

    /// <summary>True once the patcher has returned.</summary>
    public bool IsPatched { get; private set; }

    /// <summary>True when the protocol has said that it failed: then old code may stand where new code should.</summary>
    public bool HasFailed { get; set; }

    /// <summary>How the patcher has failed that nothing was to hinder, where it had stored nothing; null otherwise. Where every execution ends so, nothing was tried.</summary>
    public PatchFailure? Refusal { get; internal set; }

    /// <summary>What was violated first, or null.</summary>
    public InvariantViolation? Violation { get; private set; }

    /// <summary>The same CPUs and sites, for those who look at every event: going through these allocates nothing.</summary>
    internal Cpu[] CpuArray { get; }

    internal ReadOnlySpan<PatchSite> SiteSpan => CollectionsMarshal.AsSpan(_sites);

    internal Action? Patched { get; set; }

    /// <summary>What the scenario has made for its first execution, and puts back in place for each other.</summary>
    internal object? Kept { get; set; }

    /// <summary>The sites for a patcher: the same array in every execution that has the same ones.</summary>
    private PatchSite[] SiteArray => _siteArray.AsSpan().SequenceEqual(SiteSpan) ? _siteArray : _siteArray = [.. _sites];

    /// <summary>Names the sites of this execution.</summary>
    public void AddSite(PatchSite site) => _sites.Add(site);

    /// <summary>Names sites that were named in another execution, as they were then before anything was done to them.</summary>
    internal void AddAgain(PatchSite[] sites)
    {
        foreach (var site in sites)
        {
            (site.IsFinished, site.Guard) = (false, default);
            _sites.Add(site);
        }
    }

    /// <summary>Names an INT3 that is not the patcher's; its owner's handler is the scenario's affair.</summary>
    public ForeignInt3 AddForeignInt3(GuestAddress address, string owner, Func<int> hits)
    {
        var foreign = new ForeignInt3(address, owner, hits);
        _foreignInt3s.Add(foreign);
        return foreign;
    }

    /// <summary>Says how many effects of old and new instructions a CPU must have counted when it is through.</summary>
    public void ExpectEffects(Cpu cpu, int least, int most) => _expectedEffects.Add((cpu, least, most));

    /// <summary>A step, for the end of a patcher's routine: it has returned, and from now on only the new code may be seen.</summary>
    public KernelStep MarkPatched() => _patchedMark;

    /// <summary>The routine of a patcher on CPU 0: all sites of this execution by one protocol, under text_mutex, and then it has returned.</summary>
    public IEnumerable<KernelStep> Patch(IPatcher patcher)
    {
        var context = _isContextInUse ? new PatchContext(Kernel, Machine.Cpus[0]) : _context;
        _isContextInUse = true;
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(patcher.Apply(context, SiteArray));
        HasFailed = context.Failure is not null;
        NoteRefusal(context.Failure);
        yield return MarkPatched();
        yield return context.TextMutex.Release();
    }

    /// <summary>An invariant does not hold: ends the execution.</summary>
    public void Report(Invariants invariant, Cpu cpu, GuestAddress address, string detail)
    {
        Violation ??= new(invariant, cpu.Id, cpu.ClockCycles, address, detail);
        Machine.RequestStop();
    }

    internal ForeignInt3? ForeignInt3At(GuestAddress address)
    {
        foreach (var foreign in _foreignInt3s)
            if (foreign.Address == address) return foreign;
        return null;
    }

    /// <summary>Where a CPU's last #BP came from; null before the first.</summary>
    internal GuestAddress? TrappedLastAt(CpuId cpu) => _trappedLast[cpu.Index];

    internal void NoteTrapped(Cpu cpu, TrapFrame frame)
    {
        if (frame.Vector == TrapVector.Breakpoint) _trappedLast[cpu.Id.Index] = frame.Rip - 1;
    }

    /// <summary>The patcher has ended. What was made to fail on purpose is no refusal.</summary>
    internal void NoteRefusal(PatchFailure? failure) => Refusal = Kernel.TextBytesWritten == 0 && !Kernel.Faults.HasFaults ? failure : null;

    internal void Restart()
    {
        Kernel.Restart();
        _context.Failure = null;
        _isContextInUse = false;
        _sites.Clear();
        _foreignInt3s.Clear();
        _expectedEffects.Clear();
        Array.Clear(_trappedLast);
        IsPatched = false;
        HasFailed = false;
        Refusal = null;
        Violation = null;
    }

    private sealed class PatchedMark(ScenarioRun run) : KernelStep
    {
        public override string Describe() => "the patcher has returned";

        protected override long Execute(Cpu cpu)
        {
            // Whether a CPU can still be given old code depends on whether it has serialised before this or after it.
            if (cpu.Machine.Accesses is { } log)
            {
                foreach (var other in run.CpuArray) log.ReadFloorOf(other);
                foreach (var site in run.SiteSpan) log.ReadLines(site.Address, site.Length);
            }

            run.IsPatched = true;
            run.Patched?.Invoke();
            return 0;
        }
    }
}
