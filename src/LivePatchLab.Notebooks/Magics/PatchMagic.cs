using LivePatchLab.Experiments;

namespace LivePatchLab.Notebooks;

/// <summary>#!patch: one patching operation on a machine.</summary>
internal static class PatchMagic
{
    private const string Account = "account";
    private const string Timeline = "timeline";
    private const string Stalls = "stalls";
    private const string Bytes = "bytes";
    private const string Trace = "trace";

    public static Magic Create() => new("patch", "Switches a machine's sites from nop to call, or back, while its CPUs go on; says what it cost.", Run)
    {
        Parameters =
        [
            LabParameters.Engine with { Positional = true },
            new("back", "from call to nop") { Flag = true },
            new("sites", "how many of the machine's sites, from the first; or all") { Default = LabParameters.All, Values = () => [LabParameters.All], OtherValues = true },
            new("show", $"what is shown of it; {Timeline}, {Stalls} and {Bytes} keep the variable 'recording', {Trace} keeps 'trace'") { Default = Account, Values = () => [Account, Timeline, Stalls, Bytes, Trace] },
            new("machine", "the C# variable that holds the machine") { Default = "machine" },
            new("name", "the C# variable that takes the result") { Default = "run" },
        ],
        Examples = ["#!patch --engine text_poke_bp_list", "#!patch --engine text_poke_bp --sites 100 --name one_by_one", "#!patch --engine text_poke_bp_list --sites 1 --show timeline", "#!patch --engine text_poke_bp_list --back"],
    };

    private static Task Run(MagicCall call)
    {
        var name = call.VariableName("name");
        var variable = call.Text("machine");
        if (!call.TryGet<LabMachine>(variable, out var machine))
        {
            throw call.TryGet<object>(variable, out _)
                ? call.Refuse("machine", $"the variable '{variable}' holds no machine; #!machine makes one")
                : new UserErrorException($"there is no machine in a variable '{variable}'; #!machine makes one");
        }
        var sites = LabParameters.SitesOf(call, "sites", machine.Records.Records.Count);
        var plan = (sites is { } count ? Patch.First(count) : Patch.All()).With(call.Text("engine"));
        plan = call.Flag("back") ? plan.Back() : plan;
        var (run, shown) = call.Text("show") switch
        {
            Account => (plan.Run(machine, at => call.Progress.Report(new(at.Done, at.Sites, at.Pass)), call.CancellationToken), null),
            Trace => Traced(call, plan.Trace(machine, call.CancellationToken)),
            var what => Recorded(call, plan.Record(machine, cancellation: call.CancellationToken), what),
        };
        call.Set(name, run);
        call.Display(shown ?? run);
        return Task.CompletedTask;
    }

    private static (PatchRun Run, object? Shown) Traced(MagicCall call, PatchTrace trace)
    {
        call.Set("trace", trace);
        return (trace.Run, trace);
    }

    private static (PatchRun Run, object? Shown) Recorded(MagicCall call, PatchRecording recording, string what)
    {
        call.Set("recording", recording);
        return (recording.Run, what switch { Stalls => recording.Stalls, Bytes => recording.SiteBytes, _ => recording });
    }
}
