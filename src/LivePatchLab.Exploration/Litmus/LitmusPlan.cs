using System.Runtime.ExceptionServices;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>How litmus tests are explored.</summary>
public sealed record LitmusPlan
{
    public IStrategy Strategy { get; init; } = new DepthFirst();

    public long ExecutionsMax { get; init; } = ExplorationPlan.ExecutionsMaxDefault;

    public Seed Seed { get; init; } = new(1);

    /// <summary>The model of a name as a test sees it: a test may say how #BP enters its handler.</summary>
    public static FetchModel ModelFor(LitmusTest test, FetchModel model)
        => test.Situation.Gate is { } gate ? model with { BreakpointGate = gate } : model;

    /// <summary>
    /// Explores a test with its control. A search by chance goes without: a control that is easier to catch than what is looked for would let it pass
    /// what it has only not found, so what it does not find it leaves open.
    /// </summary>
    public ExplorationPlan For(LitmusTest test, FetchModel model)
    {
        var plan = Plan(() => new LitmusScenario(test), test, model);
        return Strategy.IsRandom ? plan : plan.WithControl(() => new LitmusScenario(test, isControl: true));
    }

    /// <summary>Explores one test under one model.</summary>
    /// <exception cref="ArgumentException">The test expects nothing under that model.</exception>
    public LitmusRow Run(LitmusTest test, FetchModel model, CancellationToken cancellation = default)
    {
        var result = For(test, model).Run(cancellation);
        return new()
        {
            Test = test,
            Model = model,
            Expected = test.Expected.FirstOrDefault(e => e.Model == model.Name) ?? throw new ArgumentException($"{test.Name} expects nothing under {model.Name}", nameof(model)),
            Result = result,
            NeverReached = result.Verdict == Verdict.Pass ? test.Allowed.FirstOrDefault(outcome => !IsReached(test, outcome, model, cancellation)) : null,
        };
    }

    /// <summary>Explores all tests under all models, on all processors. The rows come in the order of the tests, and for each in that of the models.</summary>
    /// <param name="tests">The tests.</param>
    /// <param name="models">The models.</param>
    /// <param name="cancellation">Ends it with an <see cref="OperationCanceledException"/>.</param>
    /// <param name="progress">Told of each row when it is done, on whatever thread.</param>
    public IReadOnlyList<LitmusRow> RunAll(IReadOnlyList<LitmusTest> tests, IReadOnlyList<FetchModel> models, CancellationToken cancellation = default, Action<LitmusRow>? progress = null)
    {
        var rows = new LitmusRow[tests.Count * models.Count];

        // One by one where a search takes all processors by itself.
        var threads = Strategy.IsRandom ? 1 : Environment.ProcessorCount;
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
        try
        {
            Parallel.For(0, rows.Length, options, i =>
            {
                rows[i] = Run(tests[i / models.Count], models[i % models.Count], cancellation);
                progress?.Invoke(rows[i]);
            });
        }
        catch (AggregateException e)
        {
            // What one of them has to say is what the caller knows how to tell.
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return rows;
    }

    private bool IsReached(LitmusTest test, LitmusOutcome outcome, FetchModel model, CancellationToken cancellation)
        => Plan(() => LitmusScenario.Reaching(test, outcome), test, model).Run(cancellation).Counterexample?.Violation.Invariant == Patching.Invariants.None;

    private ExplorationPlan Plan(Func<Scenario> make, LitmusTest test, FetchModel model)
        => ExplorationPlan.Of(make).Under(ModelFor(test, model)).By(Strategy).From(Seed).Within(ExecutionsMax);
}
