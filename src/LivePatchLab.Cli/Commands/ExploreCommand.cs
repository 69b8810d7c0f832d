using System.CommandLine;
using System.Globalization;
using LivePatchLab.Exploration;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Cli;

/// <summary>livepatch explore: litmus tests, or a protocol, in every execution that a fetch model allows.</summary>
internal static class ExploreCommand
{
    private const string AllStrategies = "all";
    private const long RandomExecutionsDefault = 20_000;

    private static readonly IStrategy[] Strategies = [new DepthFirst(), new RandomWalk(), new ProbabilisticConcurrencyTesting(), new DelayBounded()];

    public static Command Create()
    {
        var paths = new Argument<string[]>("FILE|DIR") { Description = "litmus tests (.litmus), or folders that hold some", Arity = ArgumentArity.ZeroOrMore };
        var protocol = new Option<string?>("--protocol") { Description = "a protocol in the plain situation, one patcher and one executor, instead of tests" };
        var without = new Option<string?>("--without") { Description = "leaves out the sync after this phase of the protocol", HelpName = "PHASE" };
        var model = new Option<string?>("--model") { Description = string.Join(", ", FetchModel.Presets.Select(m => m.Name)) + "; all when left out" };
        var strategy = new Option<string?>("--strategy") { Description = string.Join(", ", Strategies.Select(s => s.Name.Replace(' ', '-'))) + ", or all; depth-first when left out" };
        var executions = new Option<long?>("--executions") { Description = $"the most that are run for each, {ExplorationPlan.ExecutionsMaxDefault:N0} depth-first and {RandomExecutionsDefault:N0} by chance when left out" };
        var seed = new Option<ulong>("--seed") { Description = "what random searches draw from", DefaultValueFactory = _ => 1 };
        var replay = new Option<string?>("--replay") { Description = "runs one execution by its decisions; needs one FILE and a model", HelpName = "DECISIONS" };
        var promote = new Option<bool>("--promote") { Description = "rewrites the verdicts of the files as they have come out; reasons and comments stay" };
        var perfetto = new Option<string?>("--perfetto") { Description = "writes the first counterexample as a trace for ui.perfetto.dev", HelpName = "FILE" };
        var chrome = new Option<string?>("--chrome") { Description = "the same for chrome://tracing", HelpName = "FILE" };
        var json = new Option<bool>("--json") { Description = "one JSON object instead of text" };
        var command = new Command("explore", """
            Explores litmus tests under each fetch model and compares the verdicts with those that the files expect. Exits with 1 when one differs.
            For a single file it shows the counterexamples, with the decisions that replay them.

            Examples:
              livepatch explore data/litmus
              livepatch explore data/litmus/which-sync --model sdm-worst --strategy all
              livepatch explore --protocol text_poke_bp --without "first byte" --model sdm-worst
            """)
        { paths, protocol, without, model, strategy, executions, seed, replay, promote, perfetto, chrome, json };
        command.SetInterruptibleAction((parsed, cancellation) =>
        {
            IReadOnlyList<FetchModel> models = parsed.GetValue(model) is { } name ? [Suggestion.Find(FetchModel.Presets, m => m.Name, name, "fetch model")] : FetchModel.Presets;
            var strategies = StrategiesFrom(parsed.GetValue(strategy));
            var plans = strategies.Select(s => new LitmusPlan
            {
                Strategy = s,
                Seed = new(parsed.GetValue(seed)),
                ExecutionsMax = ExecutionsFrom(parsed.GetValue(executions), s),
            }).ToList();
            var files = parsed.GetValue(paths) ?? [];
            var traces = new TraceFiles(parsed.GetValue(perfetto), parsed.GetValue(chrome));
            if (parsed.GetValue(protocol) is { } protocolName)
            {
                if (files.Length > 0) throw new BadInputException("--protocol and litmus tests: give one of them");
                if (parsed.GetValue(promote) || parsed.GetValue(replay) is not null) throw new BadInputException("--promote and --replay are for litmus tests");
                return ExploreProtocol(ProtocolFrom(protocolName, parsed.GetValue(without)), models, plans, parsed.GetValue(json), traces, cancellation);
            }

            if (parsed.GetValue(without) is not null) throw new BadInputException("--without needs a --protocol");
            if (files.Length == 0) throw new BadInputException("say what to explore: a litmus test, a folder of them (data/litmus), or --protocol NAME");
            var tests = LitmusFile.OpenAll(files);
            if (parsed.GetValue(replay) is { } decisions) return Replay(tests, models, plans[0], decisions, parsed.GetValue(json), traces);
            if (parsed.GetValue(promote) && (plans.Count > 1 || plans[0].Strategy.IsRandom)) throw new BadInputException("--promote takes the verdicts of depth-first search only");
            var rows = ExploreTests(tests, models, plans, cancellation);
            return Report(tests, rows, parsed.GetValue(promote), parsed.GetValue(json), traces);
        });
        return command;
    }

    private static IReadOnlyList<IStrategy> StrategiesFrom(string? name)
        => name is null ? [Strategies[0]]
            : name == AllStrategies ? [.. Strategies.Take(3)]
            : [Suggestion.Find(Strategies, s => s.Name.Replace(' ', '-'), name, "strategy")];

    private static long ExecutionsFrom(long? given, IStrategy strategy) => given switch
    {
        null => strategy.IsRandom ? RandomExecutionsDefault : ExplorationPlan.ExecutionsMaxDefault,
        < 1 => throw new BadInputException($"--executions {given}: at least 1 is explored"),
        _ => given.Value,
    };

    private static IPatchProtocol ProtocolFrom(string name, string? phase)
    {
        var protocol = Protocols.Named(name);
        if (phase is null) return protocol;
        return protocol.Without(Suggestion.Find(PatchPhases.Of(protocol), p => p, phase, $"phase of {protocol.Name}"));
    }

    private static List<IReadOnlyList<LitmusRow>> ExploreTests(IReadOnlyList<LitmusTest> tests, IReadOnlyList<FetchModel> models, IReadOnlyList<LitmusPlan> plans, CancellationToken cancellation)
    {
        using var line = new ProgressLine();
        var total = tests.Count * models.Count * plans.Count;
        var done = 0;
        return [.. plans.Select(plan => plan.RunAll(tests, models, cancellation, row =>
        {
            lock (line) line.Count(++done, total, $"{row.Test.Name} under {row.Model.Name}");
        }))];
    }

    private static int Report(IReadOnlyList<LitmusTest> tests, List<IReadOnlyList<LitmusRow>> byStrategy, bool promotes, bool json, TraceFiles traces)
    {
        var rows = byStrategy.SelectMany(r => r).ToList();
        var contradictions = ContradictionsIn(byStrategy).ToList();
        var promoted = promotes ? tests.SelectMany(t => LitmusPromotion.Promote(t, [.. rows.Where(r => r.Test == t)])).ToList() : [];
        Console.Out.WriteLine(json
            ? ExploreReport.ToJson(rows, contradictions, promoted).ToJsonString()
            : ExploreReport.ToText(rows, contradictions, promoted, showsCounterexamples: tests.Count == 1));
        traces.Write(rows.Select(r => r.Result.Counterexample));

        // A search by chance, or one with a bound, may leave it open; what it says otherwise must be right.
        var isRight = rows.All(r => r.IsAsExpected || promotes || r.IsOpen);
        return isRight && contradictions.Count == 0 ? ExitCode.Done : ExitCode.Failed;
    }

    private static IEnumerable<(LitmusRow One, LitmusRow Other)> ContradictionsIn(List<IReadOnlyList<LitmusRow>> byStrategy)
    {
        for (var i = 0; i < byStrategy.Count; i++)
            for (var j = i + 1; j < byStrategy.Count; j++)
                for (var row = 0; row < byStrategy[i].Count; row++)
                    if (byStrategy[i][row].Contradicts(byStrategy[j][row])) yield return (byStrategy[i][row], byStrategy[j][row]);
    }

    private static int Replay(IReadOnlyList<LitmusTest> tests, IReadOnlyList<FetchModel> models, LitmusPlan plan, string decisions, bool json, TraceFiles traces)
    {
        if (tests.Count != 1 || models.Count != 1) throw new BadInputException("--replay runs one execution: give one litmus test, and its --model");
        var found = plan.For(tests[0], models[0]).Replay(decisions);
        if (json) Console.Out.WriteLine(found is null ? "{}" : ExploreReport.ToJson(found).ToJsonString());
        else if (found is null) Console.Out.WriteLine($"{tests[0].Name} under {models[0].Name}: these decisions violate nothing");
        else Console.Out.WriteLine(ExploreReport.ToText(found));
        traces.Write([found]);
        return found is null ? ExitCode.Done : ExitCode.Failed;
    }

    private static int ExploreProtocol(IPatchProtocol protocol, IReadOnlyList<FetchModel> models, IReadOnlyList<LitmusPlan> plans, bool json, TraceFiles traces, CancellationToken cancellation)
    {
        using var line = new ProgressLine();
        var results = new List<ExplorationResult>();
        foreach (var plan in plans)
        {
            foreach (var model in models)
            {
                results.Add(ExplorationPlan.Of(protocol).Under(model).By(plan.Strategy).From(plan.Seed).Within(plan.ExecutionsMax)
                    .WithControl(() => LitmusControl.PlainScenario(), isTelling: false)
                    .Run(cancellation, at => line.Count(at.Executions, at.ExecutionsMax, string.Create(CultureInfo.InvariantCulture, $"{model.Name}, {at.ExecutionsPerSecond:N0} executions a second"))));
            }
        }

        line.Dispose();
        Console.Out.WriteLine(json ? ExploreReport.ToJson(results).ToJsonString() : ExploreReport.ToText(results));
        traces.Write(results.Select(r => r.Counterexample));
        return results.All(r => r.Verdict == Verdict.Pass) ? ExitCode.Done : ExitCode.Failed;
    }
}
