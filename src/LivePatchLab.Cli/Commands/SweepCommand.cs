using System.CommandLine;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using Spectre.Console;

namespace LivePatchLab.Cli;

/// <summary>livepatch sweep: many patch runs on all host cores.</summary>
internal static class SweepCommand
{
    public static Command Create()
    {
        var spec = new Argument<string>("SPEC.json") { Description = "an object with engines, sites, cpus, and if you like seeds, costs, fetch, workload" };
        var jobs = new Option<int?>("--jobs") { Description = "host threads; one a core when left out" };
        var command = new Command("sweep", """
            Runs every engine with every number of sites, of CPUs, and every seed; prints one JSON array, the same whatever the number of jobs.

            Example: with {"engines": ["text_poke_bp", "text_poke_bp_list"], "sites": [1, 10, 100], "cpus": [2, 4]} in sweep.json
              livepatch sweep sweep.json > results.json
            """)
        { spec, jobs };
        command.SetAction((parsed, cancellation) =>
        {
            var path = parsed.GetValue(spec)!;
            if (!File.Exists(path)) throw new BadInputException($"{path}: no such file; give a sweep's specification");
            if (parsed.GetValue(jobs) is < 1) throw new BadInputException($"--jobs {parsed.GetValue(jobs)}: a sweep needs at least one thread");
            var sweep = SweepSpec.Parse(File.ReadAllText(path), path);
            var result = WithProgress(progress => Sweep.Run(sweep, parsed.GetValue(jobs), progress, cancellation));
            Console.Out.WriteLine(result.ToJson().ToJsonString());
            return Task.FromResult(result.Runs.All(r => r.IsGood) ? ExitCode.Done : ExitCode.Failed);
        });
        return command;
    }

    /// <summary>Shows how far it is on stderr where that is a terminal.</summary>
    private static SweepResult WithProgress(Func<Action<SweepProgress>, SweepResult> run)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                var task = context.AddTask("runs");
                return run(p =>
                {
                    task.MaxValue = p.Total;
                    task.Value = p.Done;
                });
            });
    }
}
