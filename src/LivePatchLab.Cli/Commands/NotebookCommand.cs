using System.CommandLine;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>livepatch notebook: notebooks without a notebook server.</summary>
internal static class NotebookCommand
{
    public static Command Create()
    {
        var files = new Argument<string[]>("FILE") { Description = "notebooks (.ipynb)", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--output") { Description = "the folder for what was executed", DefaultValueFactory = _ => "output" };
        var html = new Option<bool>("--html") { Description = "also one self-contained page a notebook, whose plots work offline" };
        var run = new Command("run", """
            Executes notebooks from their first cell to their last and writes them, with their outputs, into a folder.
            Stops at the first cell that fails, says which and where, writes nothing of that notebook, and exits with 1.

            Examples:
              livepatch notebook run notebooks/02-sync-cost.ipynb --html
              livepatch notebook run notebooks/*.ipynb --output output --html
            """)
        { files, output, html };
        run.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(files)!, parsed.GetValue(output)!, parsed.GetValue(html), cancellation));
        return new("notebook", "Notebooks, without a notebook server.") { run };
    }

    private static async Task<int> RunAsync(string[] files, string output, bool html, CancellationToken cancellation)
    {
        using var images = FigureImages.FromEnvironment(line => Console.Error.WriteLine("livepatch: " + line));
        foreach (var file in files)
        {
            var runner = new NotebookRunner(() => new NotebookSession(LabMagics.Table(), new CSharpSession(CSharpSessionOptions.Lab)));
            NotebookRunResult result;
            try
            {
                result = await runner.RunAsync(file, new NotebookRunOptions { OutputFolder = output, Html = html, Images = images }, cancellation);
            }
            catch (BadNotebookException e)
            {
                Console.Error.WriteLine("livepatch: " + e.Message);
                return ExitCode.BadInput;
            }

            if (result.Failure is { } failure)
            {
                Console.Error.WriteLine($"{file}: {failure}");
                return ExitCode.Failed;
            }

            foreach (var written in result.WrittenFiles) Console.Out.WriteLine(written);
        }

        return ExitCode.Done;
    }
}
