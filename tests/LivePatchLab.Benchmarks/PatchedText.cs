using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Machine.Tests;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>What it costs the CPUs' code that text is patched under them now and then: by a protocol, and by a mere store, which has no steps of its own and no traps.</summary>
internal static class PatchedText
{
    private const int Cpus = 64, Sites = 50, InstructionsPerPatch = 200_000, Patches = 300, Repetitions = 3, StaleInstructions = 20_000;

    private enum Patching
    {
        None,
        Store,
        Protocol,
    }

    public static Benchmark Benchmark { get; } = new(
        "patched", $"{Cpus} CPUs that call traced functions, one site patched by text_poke_bp every {InstructionsPerPatch:N0} instructions; MIPS of all together, best of {Repetitions}, interleaved", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("fetch model, engine", "unpatched", "stored to", "loss in percent", "patched", "loss in percent", "traps a patch");
        foreach (var fetch in (FetchModel[])[FetchModel.Ideal, FetchModel.SdmWorst])
        {
            foreach (var engine in EngineChoice.All)
            {
                var (unpatched, stored, patched, traps) = (0.0, 0.0, 0.0, 0.0);
                for (var i = 0; i < Repetitions; i++)
                {
                    unpatched = Math.Max(unpatched, Run(engine, fetch, Patching.None).Mips);
                    stored = Math.Max(stored, Run(engine, fetch, Patching.Store).Mips);
                    var run = Run(engine, fetch, Patching.Protocol);
                    (patched, traps) = (Math.Max(patched, run.Mips), run.Traps);
                }

                table.Add($"{fetch.Name}, {EngineChoice.NameOf(engine)}", unpatched, stored, Loss(stored), patched, Loss(patched), traps / Patches);
                double Loss(double mips) => 100 * (1 - (mips / unpatched));
            }
        }

        table.Note("patched: the patcher's own steps, the IPIs that it sends and the traps of int3 are in the loss");
        table.Note($"stored to: a byte of a NOP that means nothing changes instead, and all CPUs are synchronised {StaleInstructions:N0} instructions later; this is what staleness and new translations cost");
        return table;
    }

    private static (double Mips, long Traps) Run(ExecutionEngine engine, FetchModel fetch, Patching patching)
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
            if (patching == Patching.Store)
            {
                // The displacement of NOP [rax + rax + 0].
                var cpu = machine.Cpus[i % Cpus];
                if (!machine.TryStoreCode(cpu, site.Address + 4, [(byte)(i / calls.Count)])) throw new InvalidOperationException($"no code at {site.Address}");
                if (machine.Run(clockLimitCycles: machine.ClockCycles + (StaleInstructions / Cpus)) != MachineStop.ClockLimit) throw new InvalidOperationException($"the CPUs have stopped: {machine.Fault}");
                if (machine.Run(machine.Cpus[0].Start("sync", Synchronise(lab.Kernel))) != MachineStop.Completed) throw new InvalidOperationException($"no synchronisation: {machine.Fault}");
            }
            else if (patching == Patching.Protocol)
            {
                var task = machine.Cpus[0].Start("patch", PatchedTextScene.Switch(patcher, context, [new PatchSite(site.Address, from, to)]));
                if (machine.Run(task) != MachineStop.Completed || context.Failure is not null) throw new InvalidOperationException($"patch {i} at {site.Address} has failed: {machine.Fault}{context.Failure}");
            }

            if (machine.ClockCycles < until && machine.Run(clockLimitCycles: until) != MachineStop.ClockLimit) throw new InvalidOperationException($"the CPUs have stopped: {machine.Fault}");
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return ((machine.Cpus.Sum(cpu => cpu.RetiredInstructions) - before) / seconds / 1e6, machine.Accounts.Phases.Sum(phase => phase.Total().Traps));
    }

    private static IEnumerable<KernelStep> Synchronise(LinuxKernel kernel)
    {
        yield return new RunSync(kernel);
    }
}
