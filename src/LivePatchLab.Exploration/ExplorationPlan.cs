using System.Diagnostics;
using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// A question about a scenario: does what it checks hold in every execution, under a fetch model? Immutable; each method gives a new one.
/// <code>
/// ExplorationPlan.Of(Protocols.TextPokeBp).Under(FetchModel.SdmWorst).Run()
/// </code>
/// </summary>
public sealed record ExplorationPlan
{
    public const long ExecutionsMaxDefault = 1_000_000;

    private Func<Scenario> MakeScenario { get; init; } = null!;

    private Func<Scenario>? MakeControl { get; init; }

    private bool IsControlTelling { get; init; }

    public FetchModel Model { get; private init; } = FetchModel.SdmWorst;

    public IStrategy Strategy { get; private init; } = new DepthFirst();

    public Seed Seed { get; private init; } = new(1);

    public long ExecutionsMax { get; private init; } = ExecutionsMaxDefault;

    /// <summary>Explores a scenario.</summary>
    /// <param name="make">Makes it; called once for each thread that explores.</param>
    public static ExplorationPlan Of(Func<Scenario> make) => new() { MakeScenario = make };

    /// <summary>Explores a protocol in the plain situation: one patcher, one executor. The control rewrites the same sites byte by byte.</summary>
    /// <param name="protocol">The protocol.</param>
    /// <param name="shape">What is patched, and who comes by; null for one call that becomes another, or what a protocol needs that cannot patch calls.</param>
    public static ExplorationPlan Of(IPatchProtocol protocol, PatchShape? shape = null)
    {
        shape ??= ProtocolTable.PlainShapeOf(protocol);
        return Of(() => new PatchScenario(protocol, shape)).WithControl(() => new PatchScenario(ControlProtocols.ByteByByte, shape), isTelling: false);
    }

    /// <summary>Explores a protocol of one's own.</summary>
    /// <param name="steps">Its steps.</param>
    /// <param name="handler">Its #BP handler, if it has one.</param>
    /// <param name="shape">What is patched, and who comes by.</param>
    public static ExplorationPlan Of(PatchSteps steps, Int3Handler? handler = null, PatchShape? shape = null)
        => Of(new IteratorProtocol(steps.Method.Name.Contains('<') ? "my protocol" : steps.Method.Name, steps, handler), shape);

    public ExplorationPlan Under(FetchModel model) => this with { Model = model };

    public ExplorationPlan By(IStrategy strategy) => this with { Strategy = strategy };

    public ExplorationPlan From(Seed seed) => this with { Seed = seed };

    /// <summary>Stops after so many executions, at least 1.</summary>
    public ExplorationPlan Within(long executions)
        => executions >= 1 ? this with { ExecutionsMax = executions } : throw new BadInputException($"{executions} executions: at least 1 is explored");

    /// <summary>Explores a deliberately wrong twin as well: nothing counts as a Pass unless that is caught.</summary>
    /// <param name="make">Makes it; called once for each thread that explores.</param>
    /// <param name="isTelling">
    /// True for a twin that is wrong in what the scenario is about, and no easier to catch than what it might itself be wrong in. A search by chance that finds
    /// nothing is a Pass only when it has caught such a one.
    /// </param>
    public ExplorationPlan WithControl(Func<Scenario> make, bool isTelling = true) => this with { MakeControl = make, IsControlTelling = isTelling };

    public ExplorationPlan WithControl(IPatchProtocol protocol, PatchShape? shape = null) => WithControl(() => new PatchScenario(protocol, shape));

    /// <summary>Explores.</summary>
    /// <param name="cancellation">Ends it with an <see cref="OperationCanceledException"/>.</param>
    /// <param name="progress">Told now and then, on the calling thread.</param>
    public ExplorationResult Run(CancellationToken cancellation = default, Action<ExplorationProgress>? progress = null)
    {
        using var caller = CancellationTokenSource.CreateLinkedTokenSource(cancellation, CallerCancellation.Current?.Token ?? default);
        cancellation = caller.Token;
        var started = Stopwatch.GetTimestamp();
        var outcome = new Searcher(MakeScenario, Model, Strategy, Seed, ExecutionsMax).Run(cancellation, progress);
        var searchSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var scenario = MakeScenario();
        var counterexample = outcome.Violating is { } found ? Explain(scenario, found, outcome) : null;
        var control = counterexample is null && MakeControl is not null ? (this with { MakeScenario = MakeControl, MakeControl = null }).Run(cancellation, progress) : null;
        var (verdict, reason) = Judge(outcome, control);
        return new()
        {
            Scenario = scenario.Name,
            Model = Model,
            Strategy = Strategy.Name,
            Verdict = verdict,
            Executions = outcome.Executions,
            Transitions = outcome.Transitions,
            IsExhaustive = outcome.IsComplete && outcome.CutOff == 0,
            Bound = BoundOf(outcome),
            Checked = scenario.CheckedUnder(Model),
            Counterexample = counterexample,
            Control = control,
            NotProven = [.. NotProvenBy(outcome, scenario)],
            Reason = reason,
            HostSeconds = searchSeconds,
        };
    }

    /// <summary>Runs one execution by its decisions, and tells what happened.</summary>
    /// <returns>The run as a counterexample, or null where it violates nothing.</returns>
    /// <exception cref="BadInputException">The decisions do not belong to this scenario and model.</exception>
    public Counterexample? Replay(DecisionList decisions)
    {
        using var machine = new ScenarioMachine(MakeScenario(), Model);
        return Tell(machine, decisions, executions: 1, seed: null);
    }

    /// <summary>The same, from the text of a decision list.</summary>
    public Counterexample? Replay(string decisions) => Replay(DecisionList.Parse(decisions));

    private Counterexample Explain(Scenario scenario, DecisionList found, SearchOutcome outcome)
    {
        using var machine = new ScenarioMachine(scenario, Model) { ForgetsStores = Strategy.IsRandom };
        return Tell(machine, new Shrinking(machine).Shrink(found), outcome.Executions, Strategy.IsRandom ? Seed.Derive((ulong)outcome.Ordinal) : null)
            ?? throw new InvalidOperationException($"a violating run does not violate when it is run again: {found}");
    }

    private Counterexample? Tell(ScenarioMachine machine, DecisionList decisions, long executions, Seed? seed)
    {
        using var recorder = new ExecutionRecorder(machine);
        var (entries, versions) = recorder.Record(decisions);
        if (machine.Run.Violation is not { } violation) return null;
        return new()
        {
            Scenario = MakeScenario().Name,
            Model = Model,
            Violation = violation,
            Decisions = machine.Decisions,
            Seed = seed,
            Executions = executions,
            StateHash = machine.Machine.Hash(),
            Entries = entries,
            SiteHistory = versions,
            Cpus = machine.Machine.Cpus.Count,
        };
    }

    private (Verdict Verdict, string? Reason) Judge(SearchOutcome outcome, ExplorationResult? control)
    {
        if (outcome.Violating is not null) return (Verdict.Violation, null);
        if (outcome.NotDeterministic is { } why) return (Verdict.Inconclusive, why);
        if (outcome.CutOff > 0 && outcome.CutOff == outcome.Executions) return (Verdict.Inconclusive, $"none of {outcome.Executions} executions came to an end: {outcome.Straying}");
        if (outcome.CutOff > 0) return (Verdict.Inconclusive, string.Create(CultureInfo.InvariantCulture, $"{outcome.CutOff:N0} of {outcome.Executions:N0} executions were cut off, too long to be run to their end"));
        if (!Strategy.IsRandom && !outcome.IsComplete) return (Verdict.Inconclusive, string.Create(CultureInfo.InvariantCulture, $"stopped after {outcome.Executions:N0} executions, with more to explore"));
        if (outcome.Refusal is { } refusal) return (Verdict.Inconclusive, $"the patcher fails in every execution before it has stored anything: {refusal}");
        if (control is null) return (Verdict.Inconclusive, "nothing was violated, and there was no control: who catches nothing may be blind");
        if (control.Verdict != Verdict.Violation) return (Verdict.Inconclusive, $"the control, {control.Scenario}, was not caught in {control.Executions.ToString("N0", CultureInfo.InvariantCulture)} executions");
        if (Strategy.IsRandom && !IsControlTelling) return (Verdict.Inconclusive, string.Create(CultureInfo.InvariantCulture, $"nothing was violated in {outcome.Executions:N0} executions drawn by chance, which decides nothing; search depth-first, or give it a control that is hard to catch"));
        return (Verdict.Pass, null);
    }

    private string BoundOf(SearchOutcome outcome)
        => !Strategy.IsRandom && !outcome.IsComplete && outcome.Violating is null
            ? string.Create(CultureInfo.InvariantCulture, $"stopped after {outcome.Executions:N0} executions")
            : Strategy.IsRandom ? string.Create(CultureInfo.InvariantCulture, $"{outcome.Executions:N0} {outcome.Bound}") : outcome.Bound;

    private IEnumerable<string> NotProvenBy(SearchOutcome outcome, Scenario scenario)
    {
        if (outcome.Violating is not null) yield break;
        yield return $"Anything beyond this scenario: {scenario.Cpus} CPUs, {Model.Name}, and the programs that they run in it.";
        var unchecked_ = (Invariants)((1 << InvariantNames.Count) - 1) & ~scenario.CheckedUnder(Model);
        if (unchecked_ != Invariants.None) yield return $"What was not checked: {unchecked_.Show()}.";
        if (Strategy.IsRandom) yield return "Executions whose seeds were not drawn.";
        else if (Strategy is DelayBounded) yield return $"Executions beyond the bound: {outcome.Bound}.";
        yield return "That a processor behaves as the model says.";
    }
}
