using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Machine.Tests;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>A machine whose CPUs all call traced functions, every other one of which is traced, and what can be done to its text.</summary>
internal sealed class PatchedCpus : IDisposable
{
    public const int Cpus = 64;

    /// <summary>How long a store that nobody has been told of stays so.</summary>
    public const int StaleInstructions = 20_000;

    private const int Sites = 50;

    private readonly LabMachine _lab;
    private readonly IPatcher _patcher;
    private readonly PatchContext _context;
    private readonly IReadOnlyList<PatchSite> _calls;
    private readonly byte[] _nop;
    private readonly bool[] _isOn = new bool[Sites];
    private int _stores;
    private int _patches;

    public PatchedCpus(ExecutionEngine engine, FetchModel fetch, CostPreset costs)
    {
        _lab = new(new() { Cpus = Cpus, Sites = Sites, Workload = Workload.Running, Fetch = fetch, Engine = engine, QuantumCyclesMax = 1000, Costs = costs });
        _patcher = Protocols.TextPokeBp.Attach(_lab.Kernel);
        _context = new(_lab.Kernel, Machine.Cpus[0]);
        _calls = _lab.SitesFor(enable: true);
        _nop = _calls[0].OldCode;

        // Everything has been executed once, patched and unpatched; then every other site is on.
        _lab.Switch(Protocols.TextPokeBpList, enable: true);
        _lab.Switch(Protocols.TextPokeBpList, enable: false);
        for (var site = 0; site < Sites; site += 2) Toggle(site);
    }

    private SmpMachine Machine => _lab.Machine;

    /// <summary>A phase of so many patches, each with so many instructions of all CPUs together, or more where the patch takes longer.</summary>
    /// <param name="patches">How many.</param>
    /// <param name="instructionsPerPatch">From the beginning of one to that of the next.</param>
    /// <param name="patch">Does one; null to leave the text alone.</param>
    public PatchedPhase Run(int patches, int instructionsPerPatch, Action? patch)
    {
        Machine.Accounts.Restart(Machine.ClockCycles);
        var before = Machine.Cpus.Sum(cpu => cpu.RetiredInstructions);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < patches; i++)
        {
            var until = Machine.ClockCycles + (instructionsPerPatch / Cpus);
            patch?.Invoke();
            if (Machine.ClockCycles < until) RunTo(until);
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var instructions = Machine.Cpus.Sum(cpu => cpu.RetiredInstructions) - before;
        return new(instructions / seconds / 1e6, (double)instructions / patches, (double)Machine.Accounts.Phases.Sum(phase => phase.Total().Traps) / patches);
    }

    /// <summary>Switches one site after the other, by text_poke_bp().</summary>
    public void Toggle() => Toggle(_patches++ % Sites);

    /// <summary>Gives the NOP of one site after the other a displacement that it has not had for long: NOP [rax + rax + n]. Those are the sites that were off in the beginning.</summary>
    public void Store()
    {
        var (round, off) = (_stores / (Sites / 2), _stores % (Sites / 2));
        var site = (2 * off) + 1;
        var cpu = Machine.Cpus[_stores++ % Cpus];
        if (_isOn[site]) Toggle(site);
        if (!Machine.TryStoreCode(cpu, _calls[site].Address + 4, [(byte)round])) throw new InvalidOperationException($"no code at {_calls[site].Address}");
        RunTo(Machine.ClockCycles + (StaleInstructions / Cpus));
        if (Machine.Run(Machine.Cpus[0].Start("sync", Synchronise(_lab.Kernel))) != MachineStop.Completed) throw new InvalidOperationException($"no synchronisation: {Machine.Fault}");
    }

    public void Dispose() => _lab.Dispose();

    private static IEnumerable<KernelStep> Synchronise(LinuxKernel kernel)
    {
        yield return new RunSync(kernel);
    }

    private void Toggle(int site)
    {
        var (from, to) = _isOn[site] ? (_calls[site].NewCode!, _nop) : (_nop, _calls[site].NewCode!);
        _isOn[site] = !_isOn[site];
        var task = Machine.Cpus[0].Start("patch", PatchedTextScene.Switch(_patcher, _context, [new PatchSite(_calls[site].Address, from, to)]));
        if (Machine.Run(task) != MachineStop.Completed || _context.Failure is not null) throw new InvalidOperationException($"a patch at {_calls[site].Address} has failed: {Machine.Fault}{_context.Failure}");
    }

    private void RunTo(long clock)
    {
        if (Machine.Run(clockLimitCycles: clock) != MachineStop.ClockLimit) throw new InvalidOperationException($"the CPUs have stopped: {Machine.Fault}");
    }
}

/// <summary>What a phase came to.</summary>
/// <param name="Mips">All CPUs together.</param>
/// <param name="Instructions">From one patch to the next.</param>
/// <param name="Traps">For each patch.</param>
internal readonly record struct PatchedPhase(double Mips, double Instructions, double Traps);
