using System.CommandLine;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>livepatch notebook: notebooks without a notebook server.</summary>
internal static class NotebookCommand
{
    public static Command Create() => new("notebook", "Notebooks, without a notebook server.") { NotebookRunCommand.Create(), NotebookCheckCommand.Create(), NotebookCleanCommand.Create() };

    public static Argument<string[]> Files() => new("FILE") { Description = "notebooks (.ipynb)", Arity = ArgumentArity.OneOrMore };

    /// <summary>Runs each notebook in a session of its own, with the lab's magics.</summary>
    public static NotebookRunner Runner() => new(() => new NotebookSession(LabMagics.Table(), new CSharpSession(CSharpSessionOptions.Lab)));

    /// <summary>Shows on a line which cell runs and how far it is.</summary>
    public static NotebookRunOptions Showing(this NotebookRunOptions options, ProgressLine line, string file) => options with
    {
        InItsFolder = true,
        OnCell = cell =>
        {
            line.Prefix = $"{file}, cell {cell.Cell} of {cell.Cells}: ";
            line.Show(cell.FirstLine);
        },
        OnProgress = line.Show,
    };

    /// <summary>Does the same with every file, and tells of those that are no notebooks; the worst status is that of all.</summary>
    public static async Task<int> WithEach(string[] files, Func<string, Task<int>> work)
    {
        var worst = ExitCode.Done;
        foreach (var file in files)
        {
            try
            {
                worst = Math.Max(worst, await work(file));
            }
            catch (BadNotebookException e)
            {
                worst = Math.Max(worst, Tell(e));
            }
        }

        return worst;
    }

    public static int Tell(BadNotebookException e)
    {
        Console.Error.WriteLine("livepatch: " + e.Message);
        return ExitCode.BadInput;
    }
}
