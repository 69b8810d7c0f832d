using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A patch run: one line, then the account by phase and by CPU.</summary>
internal static class PatchRunView
{
    /// <summary>Up to so many CPUs each gets a row; beyond, the others are summed up.</summary>
    private const int CpuRowsMax = 8;

    public static HtmlFragment Of(PatchRun run)
    {
        var view = new ViewBuilder().Headline(run.Engine, Headline(run));
        if (Problem(run) is { } problem)
            view.Alarm(problem);
        if (run.Phases.Any(IsNamed))
            view.Table(ByPhase(run));
        view.Table(ByCpu(run));
        if (run.Cpus > 1 && run.Phases.Count(IsNamed) > 1)
            view.Table(ByPhaseAndCpu(run));
        return view.Footnote(Footnote(run)).Build();
    }

    /// <summary>What went wrong, in one line; null for a good run.</summary>
    public static string? Problem(PatchRun run)
        => run.Violation is { } violation ? $"Violation: {violation}"
            : run.Bug is { } bug ? $"BUG: {bug}"
            : run.Failure is { } failure ? $"Failed: {failure}"
            : null;

    public static string Headline(PatchRun run)
        => $" on {Plural(run.Sites, "site")}, {Plural(run.Cpus, "CPU")}: {Plural(run.SyncRounds, "sync")}, {Plural(run.Ipis, "IPI")}, {Plural(run.Int3Hits, "int3 hit")}, {Duration.Show(run.SimulatedSeconds)} simulated";

    public static string Footnote(PatchRun run)
        => $"seed {run.Seed}; costs {run.CostModel}; fetch {run.FetchModel}; workload {run.Workload}; {Count(run.BytesWritten)} bytes of text written; state {run.StateHash}";

    private static DataTable ByPhase(PatchRun run) => new(
        ["phase", "time", "IPIs sent", "traps", "stalled cycles, all CPUs"],
        [
            .. run.Phases.Where(IsNamed).Select(phase =>
            {
                var total = phase.Total();
                return (string[])[phase.Name, Duration.Show(run.Costs.SecondsOf(phase.DurationCycles)), Count(total.IpisSent), Count(total.Traps), Count(total.StalledCycles)];
            }),
        ])
    { Numeric = [false, true, true, true, true] };

    private static DataTable ByCpu(PatchRun run)
    {
        var accounts = Enumerable.Range(0, run.Cpus).Select(cpu => Sum(run, cpu)).ToArray();
        var rows = new List<string[]> { Row("0, the patcher", [accounts[0]], values => values[0]) };
        if (run.Cpus <= CpuRowsMax)
        {
            for (var cpu = 1; cpu < run.Cpus; cpu++)
                rows.Add(Row($"{cpu}", [accounts[cpu]], values => values[0]));
        }
        else
        {
            var others = accounts[1..];
            rows.Add(Row($"the {others.Length} others: least", others, values => values[0]));
            rows.Add(Row("median", others, values => values[values.Length / 2]));
            rows.Add(Row("most", others, values => values[^1]));
        }
        return new(["CPU", "IPIs taken", "traps", "cycles waiting", "cycles in handlers", "stalled cycles"], rows) { Numeric = [false, true, true, true, true, true] };
    }

    private static bool IsNamed(PhaseAccount phase) => phase.Name.Length > 0;

    /// <summary>Where the stalled cycles of each CPU lie: a heat map that is a table, so that paper and screen readers have it as well.</summary>
    private static DataTable ByPhaseAndCpu(PatchRun run)
    {
        var phases = run.Phases.Where(IsNamed).ToArray();
        var picks = new List<(string Name, Func<PhaseAccount, long> Of)> { ("0, the patcher", phase => phase.Cpus[0].StalledCycles) };
        if (run.Cpus <= CpuRowsMax)
        {
            picks.AddRange(Enumerable.Range(1, run.Cpus - 1).Select(cpu => ($"{cpu}", (Func<PhaseAccount, long>)(phase => phase.Cpus[cpu].StalledCycles))));
        }
        else
        {
            picks.Add(($"the {run.Cpus - 1} others: median", phase => Others(phase)[(run.Cpus - 1) / 2]));
            picks.Add(("most", phase => Others(phase)[^1]));
        }
        var values = picks.Select(pick => phases.Select(pick.Of).ToArray()).ToArray();
        var most = Math.Max(1, values.Max(row => row.Max()));
        return new(["stalled cycles of CPU", .. phases.Select(phase => phase.Name)], [.. picks.Zip(values, (pick, row) => (string[])[pick.Name, .. row.Select(Count)])])
        {
            Numeric = [false, .. phases.Select(_ => true)],
            Shades = [.. values.Select(row => (double[])[0, .. row.Select(value => (double)value / most)])],
        };

        static long[] Others(PhaseAccount phase) => [.. phase.Cpus.Skip(1).Select(cpu => cpu.StalledCycles).Order()];
    }

    private static CpuAccount Sum(PatchRun run, int cpu) => run.Phases.Aggregate(default(CpuAccount), (sum, phase) => new()
    {
        IpisTaken = sum.IpisTaken + phase.Cpus[cpu].IpisTaken,
        Traps = sum.Traps + phase.Cpus[cpu].Traps,
        WaitCycles = sum.WaitCycles + phase.Cpus[cpu].WaitCycles,
        HandlerCycles = sum.HandlerCycles + phase.Cpus[cpu].HandlerCycles,
    });

    private static string[] Row(string name, CpuAccount[] accounts, Func<long[], long> pick)
    {
        return [name, Of(account => account.IpisTaken), Of(account => account.Traps), Of(account => account.WaitCycles), Of(account => account.HandlerCycles), Of(account => account.StalledCycles)];

        string Of(Func<CpuAccount, long> figure) => Count(pick([.. accounts.Select(figure).Order()]));
    }
}
