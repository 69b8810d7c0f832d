using System.CommandLine;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>livepatch notebook check.</summary>
internal static class NotebookCheckCommand
{
    public static Command Create()
    {
        var files = NotebookCommand.Files();
        var command = new Command("check", """
            Executes notebooks and compares what their cells show with what the files hold: the text/plain of every output and the data of every figure.
            Says 'same', or which cells drifted, each with its first difference. Writes nothing. Exits with 1 unless all are the same.

            Example:
              livepatch notebook check notebooks/*.ipynb
            """)
        { files };
        command.SetAction((parsed, cancellation) => NotebookCommand.WithEach(parsed.GetValue(files)!, file => CheckAsync(file, cancellation)));
        return command;
    }

    private static async Task<int> CheckAsync(string file, CancellationToken cancellation)
    {
        NotebookCheckResult check;
        using (var line = new ProgressLine())
            check = await NotebookCheck.RunAsync(file, NotebookCommand.Runner(), new NotebookRunOptions().Showing(line, file), cancellation);
        cancellation.ThrowIfCancellationRequested();

        Console.Out.WriteLine($"{file}: {Verdict(check)}");
        foreach (var drift in check.Drifts) Console.Out.WriteLine("  " + drift.ToString().ReplaceLineEndings("\n  "));
        return check.IsSame ? ExitCode.Done : ExitCode.Failed;
    }

    private static string Verdict(NotebookCheckResult check)
        => !check.IsExecuted ? "never executed: it holds no outputs to compare with; livepatch notebook run executes it"
            : check.Failure is { } failure ? $"failed: {failure.ToString().ReplaceLineEndings("; ")}"
            : check.Drifts.Count == 0 ? "same"
            : $"drifted in {check.Drifts.Count} of {check.CellsRun} code cells";
}
