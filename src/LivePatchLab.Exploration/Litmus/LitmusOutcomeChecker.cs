using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>Looks at how an execution has ended, unless something else was wrong with it before.</summary>
internal sealed class LitmusOutcomeChecker(LitmusSituation situation, LitmusLayout layout, IReadOnlyList<LitmusOutcome> never) : Checker
{
    public override Invariants Invariant => Invariants.None;

    public override void End(ScenarioRun run)
    {
        if (run.Violation is not null || run.Machine.IsStopRequested) return;
        foreach (var outcome in never)
        {
            if (!outcome.Terms.All(term => Holds(term, run))) continue;
            var cpu = outcome.Terms.OfType<LitmusRegisterTerm>().FirstOrDefault()?.Cpu ?? 0;
            run.Report(Invariants.None, run.Machine.Cpus[cpu], default, $"ends with {outcome}");
            return;
        }
    }

    private static bool Holds(LitmusRelation relation, long left, long right) => relation switch
    {
        LitmusRelation.Equal => left == right,
        LitmusRelation.NotEqual => left != right,
        LitmusRelation.Less => left < right,
        _ => left > right,
    };

    private bool Holds(LitmusTerm term, ScenarioRun run) => term switch
    {
        LitmusRegisterTerm register => Holds(register.Relation, (long)run.Machine.Cpus[register.Cpu][register.Register], register.Value),
        LitmusVariableTerm variable => Holds(variable.Relation, ValueOf(variable.Variable, run), variable.Value),
        LitmusSiteTerm site => run.Machine.Memory.Read(layout[site.Site].Address, layout[site.Site].Old.Length).AsSpan().SequenceEqual(BytesOf(site)) == site.IsEqual,
        _ => throw new InvalidOperationException($"nobody knows how to look at {term}"),
    };

    private byte[] BytesOf(LitmusSiteTerm term)
    {
        var site = layout[term.Site];
        return term.Bytes.For(site.Old, site.New, 0, site.Old.Length);
    }

    private long ValueOf(string variable, ScenarioRun run)
        => situation.Order == MemoryOrder.SequentiallyConsistent ? (long)run.Machine.Memory.ReadUInt64(layout.AddressOf(variable)) : run.Kernel.Globals(_ => new LitmusVariables(situation)).Of(variable).Value;
}
