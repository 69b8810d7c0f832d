using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using LivePatchLab.Machine.Tests;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>What it costs the CPUs' code that text is patched under them now and then.</summary>
internal static class PatchedText
{
    private const int Cpus = 64, Sites = 50, InstructionsPerPatch = 200_000, Patches = 300, Repetitions = 3;

    public static Benchmark Benchmark { get; } = new(
        "patched", $"{Cpus} CPUs that call traced functions, one site patched by text_poke_bp every {InstructionsPerPatch:N0} instructions; MIPS of all together, best of {Repetitions}, interleaved", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("fetch model, engine", "unpatched", "patched", "loss in percent", "traps a patch");
        foreach (var fetch in (FetchModel[])[FetchModel.Ideal, FetchModel.SdmWorst])
        {
            foreach (var engine in EngineChoice.All)
            {
                var (unpatched, patched, traps) = (0.0, 0.0, 0.0);
                for (var i = 0; i < Repetitions; i++)
                {
                    unpatched = Math.Max(unpatched, Run(engine, fetch, isPatched: false).Mips);
                    var run = Run(engine, fetch, isPatched: true);
                    (patched, traps) = (Math.Max(patched, run.Mips), run.Traps);
                }

                table.Add($"{fetch.Name}, {EngineChoice.NameOf(engine)}", unpatched, patched, 100 * (1 - (patched / unpatched)), traps / Patches);
            }
        }

        table.Note("the patcher's own steps and the IPIs that it sends are in the loss");
        return table;
    }

    private static (double Mips, long Traps) Run(ExecutionEngine engine, FetchModel fetch, bool isPatched)
    {
        using var lab = new LabMachine(new() { Cpus = Cpus, Sites = Sites, Workload = Workload.Running, Fetch = fetch, Engine = engine, QuantumCyclesMax = 1000 });
        var machine = lab.Machine;
        var patcher = Protocols.TextPokeBp.Attach(lab.Kernel);
        var context = new PatchContext(lab.Kernel, machine.Cpus[0]);

        // Everything has been executed once, patched and unpatched.
        lab.Switch(Protocols.TextPokeBpList, enable: true);
        lab.Switch(Protocols.TextPokeBpList, enable: false);
        var (nops, calls) = (lab.SitesFor(enable: false), lab.SitesFor(enable: true));
        machine.Accounts.Restart(machine.ClockCycles);
        var before = machine.Cpus.Sum(cpu => cpu.RetiredInstructions);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < Patches; i++)
        {
            var site = calls[i % calls.Count];
            var (from, to) = i / calls.Count % 2 == 0 ? (nops[i % nops.Count].OldCode, site.NewCode!) : (site.NewCode!, nops[i % nops.Count].OldCode);
            var until = machine.ClockCycles + (InstructionsPerPatch / Cpus);
            if (isPatched)
            {
                var task = machine.Cpus[0].Start("patch", PatchedTextScene.Switch(patcher, context, [new PatchSite(site.Address, from, to)]));
                if (machine.Run(task) != MachineStop.Completed || context.Failure is not null) throw new InvalidOperationException($"patch {i} at {site.Address} has failed: {machine.Fault}{context.Failure}");
            }

            if (machine.ClockCycles < until && machine.Run(clockLimitCycles: until) != MachineStop.ClockLimit) throw new InvalidOperationException($"the CPUs have stopped: {machine.Fault}");
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return ((machine.Cpus.Sum(cpu => cpu.RetiredInstructions) - before) / seconds / 1e6, machine.Accounts.Phases.Sum(phase => phase.Total().Traps));
    }
}
