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
    private const int Cpus = 64, Sites = 50, InstructionsPerPatch = 200_000, Patches = 2000, SlowPatches = 50, Repetitions = 3, StaleInstructions = 20_000;

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
        var table = new ResultTable(
            "fetch model, engine", "unpatched", "stored to", "loss in %", "patched", "its loss in %", "instructions a patch", "traps a patch", "without pause", "its loss", "its instructions", "its traps");
        foreach (var fetch in (FetchModel[])[FetchModel.Ideal, FetchModel.SdmWorst])
        {
            foreach (var engine in EngineChoice.All)
            {
                var (unpatched, stored, patched, slow) = (default(Result), default(Result), default(Result), default(Result));
                for (var i = 0; i < Repetitions; i++)
                {
                    unpatched = Run(engine, fetch, Patching.None, CostPreset.Unit, Patches).Or(unpatched);
                    stored = Run(engine, fetch, Patching.Store, CostPreset.Unit, Patches).Or(stored);
                    patched = Run(engine, fetch, Patching.Protocol, CostPreset.Unit, Patches).Or(patched);
                    slow = Run(engine, fetch, Patching.Protocol, CostPreset.Quiet4, SlowPatches).Or(slow);
                }

                table.Add(
                    $"{fetch.Name}, {EngineChoice.NameOf(engine)}", unpatched.Mips, stored.Mips, Loss(stored), patched.Mips, Loss(patched), patched.Instructions, patched.Traps, slow.Mips, Loss(slow), slow.Instructions, slow.Traps);
                double Loss(Result result) => 100 * (1 - (result.Mips / unpatched.Mips));
            }
        }

        table.Note("unpatched: every other site calls the tracer, as it is on average where sites are patched");
        table.Note("patched: the patcher's own steps, the IPIs that it sends and the traps of int3 are in the loss; every step takes one cycle, so that there is time for a patch in so few instructions");
        table.Note($"stored to: a byte of a NOP that means nothing changes instead, and all CPUs are synchronised {StaleInstructions:N0} instructions later; this is what staleness and new translations cost");
        table.Note($"without pause: each step takes what it does under {CostPreset.Quiet4.Name}; one patch then lasts for millions of instructions, and the next begins at once");
        return table;
    }

    private static Result Run(ExecutionEngine engine, FetchModel fetch, Patching patching, CostPreset costs, int patches)
    {
        using var lab = new LabMachine(new() { Cpus = Cpus, Sites = Sites, Workload = Workload.Running, Fetch = fetch, Engine = engine, QuantumCyclesMax = 1000, Costs = costs });
        var machine = lab.Machine;
        var patcher = Protocols.TextPokeBp.Attach(lab.Kernel);
        var context = new PatchContext(lab.Kernel, machine.Cpus[0]);
        var calls = lab.SitesFor(enable: true);
        var nop = calls[0].OldCode;

        // Everything has been executed once, patched and unpatched; then every other site is on.
        lab.Switch(Protocols.TextPokeBpList, enable: true);
        lab.Switch(Protocols.TextPokeBpList, enable: false);
        var isOn = new bool[calls.Count];
        for (var site = 0; site < calls.Count; site += 2) Toggle(site);
        machine.Accounts.Restart(machine.ClockCycles);
        var before = machine.Cpus.Sum(cpu => cpu.RetiredInstructions);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < patches; i++)
        {
            var until = machine.ClockCycles + (InstructionsPerPatch / Cpus);
            if (patching == Patching.Store) Store(i);
            else if (patching == Patching.Protocol) Toggle(i % calls.Count);
            if (machine.ClockCycles < until) RunTo(until);
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var instructions = machine.Cpus.Sum(cpu => cpu.RetiredInstructions) - before;
        return new(instructions / seconds / 1e6, (double)instructions / patches, (double)machine.Accounts.Phases.Sum(phase => phase.Total().Traps) / patches);

        void Toggle(int site)
        {
            var (from, to) = isOn[site] ? (calls[site].NewCode!, nop) : (nop, calls[site].NewCode!);
            isOn[site] = !isOn[site];
            var task = machine.Cpus[0].Start("patch", PatchedTextScene.Switch(patcher, context, [new PatchSite(calls[site].Address, from, to)]));
            if (machine.Run(task) != MachineStop.Completed || context.Failure is not null) throw new InvalidOperationException($"a patch at {calls[site].Address} has failed: {machine.Fault}{context.Failure}");
        }

        // The displacement of NOP [rax + rax + 0], at the sites that are off.
        void Store(int number)
        {
            var off = calls.Count / 2;
            var site = calls[(2 * (number % off)) + 1];
            if (!machine.TryStoreCode(machine.Cpus[number % Cpus], site.Address + 4, [(byte)(number / off)])) throw new InvalidOperationException($"no code at {site.Address}");
            RunTo(machine.ClockCycles + (StaleInstructions / Cpus));
            if (machine.Run(machine.Cpus[0].Start("sync", Synchronise(lab.Kernel))) != MachineStop.Completed) throw new InvalidOperationException($"no synchronisation: {machine.Fault}");
        }

        void RunTo(long clock)
        {
            if (machine.Run(clockLimitCycles: clock) != MachineStop.ClockLimit) throw new InvalidOperationException($"the CPUs have stopped: {machine.Fault}");
        }
    }

    private static IEnumerable<KernelStep> Synchronise(LinuxKernel kernel)
    {
        yield return new RunSync(kernel);
    }

    /// <summary>What a run came to.</summary>
    /// <param name="Mips">All CPUs together.</param>
    /// <param name="Instructions">From one patch to the next.</param>
    /// <param name="Traps">For each patch.</param>
    private readonly record struct Result(double Mips, double Instructions, double Traps)
    {
        /// <summary>The faster one.</summary>
        public Result Or(Result other) => Mips >= other.Mips ? this : other;
    }
}
