using System.CommandLine;
using LivePatchLab.Jupyter;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>livepatch notebook run.</summary>
internal static class NotebookRunCommand
{
    public static Command Create()
    {
        var files = NotebookCommand.Files();
        var output = new Option<string>("--output") { Description = "the folder for what was executed", DefaultValueFactory = _ => "output" };
        var html = new Option<bool>("--html") { Description = "also one self-contained page a notebook, whose plots work offline" };
        var parameters = new Option<string[]>("--parameter", "-p")
        {
            Description = "name=value instead of the notebook's own: true, 12, 0x40, 1.5, text, \"12\" for the text 12, [1,2,4] for a list; may be given several times",
            HelpName = "name=value",
            Arity = ArgumentArity.OneOrMore,
        };
        var command = new Command("run", """
            Executes notebooks from their first cell to their last, each in the folder where it lies, and writes them, with their outputs, into a folder.
            Stops at the first cell that fails, says which and where, writes nothing of that notebook, and exits with 1.
            Parameters are given as papermill gives them: in a cell behind the one that is tagged 'parameters' and holds the defaults.

            Examples:
              livepatch notebook run notebooks/02-sync-cost.ipynb --html
              livepatch notebook run notebooks/*.ipynb --output output --html
              livepatch notebook run my.ipynb -p cpus=8 -p "sites=[1,10,100]"
            """)
        { files, output, html, parameters };
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetValue(files)!,
            new NotebookRunOptions { OutputFolder = parsed.GetValue(output)!, Html = parsed.GetValue(html), Parameters = NotebookParameters.Parse(parsed.GetValue(parameters) ?? []) },
            cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string[] files, NotebookRunOptions options, CancellationToken cancellation)
    {
        using var images = FigureImages.FromEnvironment(line => Console.Error.WriteLine("livepatch: " + line));
        options = options with { Images = images, OutputFolder = Path.GetFullPath(options.OutputFolder) };
        MemoryCeiling.From(Environment.GetEnvironmentVariable(MemoryCeiling.Variable)).Enforce();
        ThreadFailures.Install();
        foreach (var file in files)
        {
            NotebookRunResult result;
            try
            {
                using var line = new ProgressLine();
                result = await NotebookCommand.Runner().RunAsync(file, options.Showing(line, file) with { OnWarning = warning => Console.Error.WriteLine($"{file}: {warning}") }, cancellation);
            }
            catch (BadNotebookException e)
            {
                return NotebookCommand.Tell(e);
            }

            if (result.Failure is { } failure)
            {
                Console.Error.WriteLine($"{file}: {failure}");
                return cancellation.IsCancellationRequested ? ExitCode.Interrupted : ExitCode.Failed;
            }

            foreach (var written in result.WrittenFiles) Console.Out.WriteLine(written);
        }

        return ExitCode.Done;
    }
}
