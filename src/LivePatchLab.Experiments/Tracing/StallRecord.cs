using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>Whose work stands still.</summary>
public enum StallKind
{
    /// <summary>The sender's: from its IPIs until all have answered.</summary>
    Sender,

    /// <summary>A target's: in the handler of the IPI.</summary>
    Target,

    /// <summary>That of a CPU that has met int3: in the handler of #BP.</summary>
    Breakpoint,
}

/// <summary>Stalls of one kind in one phase: how often each length was met.</summary>
/// <param name="Phase">The patcher's phase; empty outside all phases.</param>
/// <param name="Kind">Whose.</param>
/// <param name="CountByCycles">Length in cycles to how often.</param>
public sealed record StallSeries(string Phase, StallKind Kind, IReadOnlyDictionary<long, long> CountByCycles)
{
    public long Count => CountByCycles.Values.Sum();

    /// <summary>The length that this share of the stalls does not exceed.</summary>
    /// <param name="share">0 to 1.</param>
    public long Quantile(double share)
    {
        var wanted = Math.Max(1, (long)Math.Ceiling(share * Count));
        foreach (var (cycles, count) in CountByCycles.OrderBy(each => each.Key))
            if ((wanted -= count) <= 0) return cycles;
        return 0;
    }
}

/// <summary>How long CPUs stood still, stall by stall, where the account of a run has sums only.</summary>
/// <param name="Costs">What the cycles stand for.</param>
/// <param name="Series">In the order in which they were first met.</param>
public sealed record StallRecord(CostModel Costs, IReadOnlyList<StallSeries> Series)
{
    public override string ToString() => string.Join("; ", Series.Select(series => $"{series.Phase}, {series.Kind}: {series.Count:N0}"));
}

/// <summary>Counts stalls while a machine runs. However long that is, it takes room for the different lengths only.</summary>
internal sealed class StallCounter(CostModel costs)
{
    private readonly List<(string Phase, StallKind Kind)> _order = [];
    private readonly Dictionary<(string, StallKind), Dictionary<long, long>> _counts = [];

    public void Add(string phase, StallKind kind, long cycles)
    {
        if (!_counts.TryGetValue((phase, kind), out var counts))
        {
            _counts[(phase, kind)] = counts = [];
            _order.Add((phase, kind));
        }

        counts[cycles] = counts.GetValueOrDefault(cycles) + 1;
    }

    public StallRecord Build() => new(costs, [.. _order.Select(key => new StallSeries(key.Phase, key.Kind, _counts[key]))]);
}
