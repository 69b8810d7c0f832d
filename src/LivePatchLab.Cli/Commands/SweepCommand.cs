using System.CommandLine;
using LivePatchLab.Experiments;
using LivePatchLab.Linux;

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
            Ctrl+C ends it with the runs that are finished, and status 130.

            Example: with {"engines": ["text_poke_bp", "text_poke_bp_list"], "sites": [1, 10, 100], "cpus": [2, 4]} in sweep.json
              livepatch sweep sweep.json > results.json
            """)
        { spec, jobs };
        command.SetInterruptibleAction((parsed, cancellation) =>
        {
            var path = parsed.GetValue(spec)!;
            if (!Path.Exists(path)) throw new BadInputException($"{path}: no such file; give a sweep's specification");
            if (parsed.GetValue(jobs) is < 1) throw new BadInputException($"--jobs {parsed.GetValue(jobs)}: a sweep needs at least one thread");
            var sweep = SweepSpec.Parse(InputFile.ReadText(path), path);
            var result = Run(sweep, parsed.GetValue(jobs), cancellation);
            Console.Out.WriteLine(result.ToJson().ToJsonString());
            if (result.Interruption is { } interruption)
            {
                Console.Error.WriteLine($"livepatch: {interruption}; those {result.Runs.Count} are printed");
                return ExitCode.Interrupted;
            }

            return result.Runs.All(r => r.IsGood) ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    private static SweepResult Run(SweepSpec sweep, int? jobs, CancellationToken cancellation)
    {
        using var line = new ProgressLine();
        return Sweep.Run(sweep, jobs, at => line.Count(at.Done, at.Total, "runs"), cancellation);
    }
}
