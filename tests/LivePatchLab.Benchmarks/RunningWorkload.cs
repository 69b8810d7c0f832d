using System.Diagnostics;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Benchmarks;

/// <summary>How fast CPUs run through traced functions, untouched and while the sites are being patched.</summary>
internal static class RunningWorkload
{
    private const long Cycles = 20_000_000;
    private const int Sites = 1_000;

    public static Benchmark Benchmark { get; } = new("running", "workload 'running' on 1,000 of the cloud kernel's sites: MIPS of all CPUs together, by engine; best of three", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("CPUs, engine", "nops", "calls", "while text_poke_bp_list patches", "while text_poke_bp patches");
        foreach (var cpus in (int[])[2, 4, 16])
            foreach (var engine in EngineChoice.All) AddRow(table, cpus, engine);
        table.Note("while patching, every instruction that a CPU runs at a site is checked, and the patcher takes part of the host's time");
        return table;
    }

    private static void AddRow(ResultTable table, int cpus, ExecutionEngine engine)
    {
        using var lab = new LabMachine(new() { Cpus = cpus, Sites = Sites, Workload = Workload.Running, Engine = engine });
        var clean = Best(lab, () => lab.RunGuests(Cycles / cpus));
        var byList = Best(lab, () => lab.Switch(Protocols.TextPokeBpList, enable: true), () => lab.Switch(Protocols.TextPokeBpList, enable: false));
        var byOne = Best(lab, () => lab.Switch(Protocols.TextPokeBp, enable: true), () => lab.Switch(Protocols.TextPokeBp, enable: false));
        lab.Switch(Protocols.TextPokeBpList, enable: true);
        var traced = Best(lab, () => lab.RunGuests(Cycles / cpus));
        table.Add($"{cpus}, {EngineChoice.NameOf(engine)}", clean, traced, byList, byOne);
    }

    private static double Best(LabMachine lab, Action measured, Action? between = null)
    {
        var best = 0.0;
        for (var i = 0; i < 4; i++)
        {
            var before = lab.Machine.Cpus.Sum(c => c.RetiredInstructions);
            var started = Stopwatch.GetTimestamp();
            measured();
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            var instructions = lab.Machine.Cpus.Sum(c => c.RetiredInstructions) - before;
            if (i > 0) best = Math.Max(best, instructions / seconds / 1e6);
            between?.Invoke();
        }

        return best;
    }
}
