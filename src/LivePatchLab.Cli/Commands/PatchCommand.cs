using System.CommandLine;
using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Cli;

/// <summary>livepatch patch: one switch of a kernel's sites by one protocol.</summary>
internal static class PatchCommand
{
    public static Command Create()
    {
        var image = new Option<string>("--image") { Description = "a kernel image: its own text is patched, its leaf functions run meanwhile" };
        var table = new Option<string>("--table") { Description = "a site table instead of an image; without either, that of Debian's 6.1.0-56-cloud" };
        var engine = new Option<string>("--engine") { Description = string.Join(", ", Protocols.All.Select(p => p.Name)), DefaultValueFactory = _ => "text_poke_bp_list" };
        var cpus = new Option<int>("--cpus") { Description = "1 to 1024", DefaultValueFactory = _ => 4 };
        var sites = new Option<string>("--sites") { Description = "how many, or all", DefaultValueFactory = _ => "all" };
        var seed = new Option<ulong>("--seed") { Description = "what all chance is drawn from", DefaultValueFactory = _ => 1 };
        var costs = new Option<string>("--costs") { Description = string.Join(", ", CostPreset.All.Select(p => p.Name)), DefaultValueFactory = _ => "quiet-4" };
        var fetch = new Option<string>("--fetch") { Description = string.Join(", ", FetchModel.Presets.Select(p => p.Name)), DefaultValueFactory = _ => "sdm-worst" };
        var workload = new Option<string>("--workload") { Description = "what the CPUs do meanwhile: idle, running, loaded; as the cost model says when left out" };
        var json = new Option<bool>("--json") { Description = "one JSON object instead of text" };
        var command = new Command("patch", """
            Turns tracing on at a kernel's sites (nop to call) while the emulated CPUs go on, and tells what it cost.
            Exits with 1 when the patching failed or a CPU was seen to do what none may.

            Examples:
              livepatch patch --engine text_poke_bp_list --cpus 8
              livepatch patch --engine text_poke_bp --cpus 4 --sites 1000 --workload running
              livepatch patch --image /boot/vmlinuz-6.1.0-56-cloud-amd64 --engine ftrace_2012 --cpus 16 --json
            """)
        { image, table, engine, cpus, sites, seed, costs, fetch, workload, json };
        command.SetInterruptibleAction((parsed, cancellation) =>
        {
            if (parsed.GetValue(image) is not null && parsed.GetValue(table) is not null)
                throw new BadInputException("--image and --table: give one of them");
            var options = new LabMachineOptions
            {
                Cpus = parsed.GetValue(cpus),
                Sites = SitesFrom(parsed.GetValue(sites)!),
                Seed = new(parsed.GetValue(seed)),
                Costs = CostPreset.Named(parsed.GetValue(costs)!),
                Fetch = Suggestion.Find(FetchModel.Presets, m => m.Name, parsed.GetValue(fetch)!, "fetch model"),
                Workload = parsed.GetValue(workload) is { } name ? Workloads.Named(name) : null,
            };
            if (parsed.GetValue(image) is { } imagePath) options = options with { Image = KernelImage.Open(imagePath) };
            if (parsed.GetValue(table) is { } tablePath) options = options with { Table = SiteTable.Open(tablePath) };

            using var lab = new LabMachine(options);
            var run = Switch(lab, Protocols.Named(parsed.GetValue(engine)!), cancellation);
            Console.Out.WriteLine(parsed.GetValue(json) ? run.ToJson().ToJsonString() : Text(run));
            return run.IsGood ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    private static PatchRun Switch(LabMachine lab, IPatchProtocol protocol, CancellationToken cancellation)
    {
        using var line = new ProgressLine();
        return lab.Switch(protocol, enable: true, cancellation, at => line.Count(at.Done, at.Sites, at.Pass));
    }

    private static int? SitesFrom(string text)
    {
        if (text == "all") return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            ? count
            : throw new BadInputException($"--sites {text}: give a number, or all");
    }

    private static string Text(PatchRun run)
    {
        var lines = new List<string> { run.ToString(), "", "phase                           duration       IPIs    traps   stalled cycles" };
        lines.AddRange(run.Phases.Where(p => p.Name.Length > 0).Select(p =>
        {
            var total = p.Total();
            return string.Create(CultureInfo.InvariantCulture, $"{p.Name,-28}{Duration.Show(run.Costs.SecondsOf(p.DurationCycles)),12}{total.IpisSent,11:N0}{total.Traps,9:N0}{total.StalledCycles,17:N0}");
        }));
        lines.Add("");
        lines.Add(string.Create(CultureInfo.InvariantCulture, $"seed {run.Seed}, costs {run.CostModel}, fetch {run.FetchModel}, workload {run.Workload}; {run.HostSeconds:F2} s here; state {run.StateHash}"));
        return string.Join('\n', lines);
    }
}
