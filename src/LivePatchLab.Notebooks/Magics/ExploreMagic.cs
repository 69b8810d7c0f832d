using LivePatchLab.Experiments;
using LivePatchLab.Exploration;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks;

/// <summary>#!explore: does a protocol keep its promises in every execution?</summary>
internal static class ExploreMagic
{
    private static readonly IStrategy[] Strategies = [new DepthFirst(), new RandomWalk(), new ProbabilisticConcurrencyTesting(), new DelayBounded()];

    public static Magic Create() => new("explore", "Tries a protocol in all orders of events that a fetch model allows; shows a run that breaks a promise, or says what was covered.", Run)
    {
        Parameters =
        [
            new("protocol", "the protocol that patches, or a variable that holds one; Explore(…) takes a method of yours")
            {
                Positional = true,
                Default = "text_poke_bp",
                Values = LabParameters.Engine.Values,
                OtherValues = true,
            },
            LabParameters.Model,
            new("strategy", "how the executions are searched") { Default = Strategies[0].Name, Values = () => Strategies.Select(strategy => strategy.Name) },
            new("executions", "how many at most") { Default = $"{ExplorationPlan.ExecutionsMaxDefault}" },
            new("seed", "of a strategy that draws its executions") { Default = "1" },
            new("without", "the phase whose synchronisation is left out on purpose"),
            new("sites", "how many sites: 1 to 8") { Default = "1" },
            new("cpus", "how many CPUs, the patcher's included: 2 to 8") { Default = "2" },
            new("litmus", "a litmus test (a .litmus file), in place of a protocol"),
            new("replay", "the decisions of one run, in double quotes, as a counterexample tells them: only that is run"),
            new("name", "the C# variable that takes the result") { Default = "exploration" },
        ],
        Examples =
        [
            "#!explore text_poke_bp --model sdm-worst",
            "#!explore text_poke_bp_list --without \"adding breakpoints\"",
            "#!explore --litmus data/litmus/which-sync/p2-no-middle-straddles-8.litmus --model amd-async",
            "#!explore stop_machine --strategy random-walk --executions 10_000 --seed 7 --sites 2 --cpus 3",
        ],
    };

    private static Task Run(MagicCall call)
    {
        var name = call.VariableName("name");
        var plan = PlanOf(call);
        if (call.TextOrNull("replay") is { } decisions)
        {
            var run = plan.Replay(decisions);
            call.Set(name, run);
            call.Display(run ?? (object)new ViewBuilder().Paragraph("This run breaks no promise.").Build());
            return Task.CompletedTask;
        }

        var result = Exploring.RunIn(call.Output, plan, call.CancellationToken);
        call.Set(name, result);
        call.Display(result);
        return Task.CompletedTask;
    }

    private static ExplorationPlan PlanOf(MagicCall call)
    {
        var model = Suggestion.Find(FetchModel.Presets, each => each.Name, call.Text("model"), "fetch model");
        var strategy = Strategies.First(each => each.Name == call.Text("strategy"));
        var seed = LabParameters.SeedOf(call, "seed");
        var executions = call.Number("executions", 1, long.MaxValue);
        if (call.TextOrNull("litmus") is { } file)
            return new LitmusPlan { Strategy = strategy, Seed = seed, ExecutionsMax = executions }.For(LitmusFile.Open(file), model);

        var shape = new PatchShape { Sites = call.Count("sites", 1, 8), Executors = call.Count("cpus", 2, 8) - 1 };
        return Exploring.Explore(ProtocolOf(call), shape).Under(model).By(strategy).From(seed).Within(executions);
    }

    private static IPatchProtocol ProtocolOf(MagicCall call)
    {
        var text = call.Text("protocol");
        var protocol = Protocols.All.FirstOrDefault(each => each.Name == text) ?? (call.TryGet<IPatchProtocol>(text, out var own)
            ? own
            : throw call.Refuse("protocol", $"no protocol named '{text}', and no variable that holds one.{Suggestion.Question(Protocols.All.Select(each => each.Name), text)}  (#!lab protocols lists all {Protocols.All.Count})"));
        if (call.TextOrNull("without") is not { } phase) return protocol;
        var phases = PhasesOf(protocol);
        return phases.Contains(phase)
            ? protocol.Without(phase)
            : throw call.Refuse("without", $"'{phase}' is no phase of {protocol.Name}, which has: {string.Join(", ", phases)}.{Suggestion.Question(phases, phase)}");
    }

    /// <summary>What a protocol calls its phases, as it patches one site; else a slip of the pen would leave nothing out, and prove what nobody asked.</summary>
    private static IReadOnlyList<string> PhasesOf(IPatchProtocol protocol)
    {
        using var machine = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 1, Costs = CostPreset.Unit, Workload = Workload.Idle });
        return [.. Patch.All().With(protocol).Run(machine).Phases.Select(phase => phase.Name).Where(name => name.Length > 0).Distinct()];
    }
}
