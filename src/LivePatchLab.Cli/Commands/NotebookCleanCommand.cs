using System.CommandLine;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>livepatch notebook clean.</summary>
internal static class NotebookCleanCommand
{
    public static Command Create()
    {
        var files = NotebookCommand.Files();
        var check = new Option<bool>("--check") { Description = "change nothing, only say what would be removed, and exit with 1 if there is any: for hooks of git" };
        var command = new Command("clean", """
            Removes outputs and execution counts from notebooks, in place. All else in a file stays as it is, to the byte.

            Examples:
              livepatch notebook clean my.ipynb
              livepatch notebook clean --check exercises/*.ipynb
            """)
        { files, check };
        command.SetAction((parsed, _) => NotebookCommand.WithEach(parsed.GetValue(files)!, file => Task.FromResult(Clean(file, parsed.GetValue(check)))));
        return command;
    }

    private static int Clean(string file, bool onlyCheck)
    {
        var stripped = new StrippedNotebook(file);
        if (!stripped.IsChanged)
        {
            Console.Out.WriteLine($"{file}: clean");
            return ExitCode.Done;
        }

        var what = $"{Plural(stripped.Outputs, "output")} and {Plural(stripped.ExecutionCounts, "execution count")}";
        if (onlyCheck)
        {
            Console.Out.WriteLine($"{file}: holds {what}");
            return ExitCode.Failed;
        }

        stripped.Write();
        Console.Out.WriteLine($"{file}: {what} removed");
        return ExitCode.Done;
    }

    private static string Plural(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
