namespace LivePatchLab.Notebooks;

/// <summary>What every host of ours runs cells with: magics and C#, sharing their variables.</summary>
public sealed class NotebookSession(MagicTable magics, CSharpSession csharp)
{
    public MagicTable Magics => magics;

    public CSharpSession CSharp => csharp;

    /// <summary>Runs a cell. All its magic lines are checked before any part of it runs, so that a slip of the pen on line 9 costs nothing.</summary>
    /// <param name="code">The cell's text.</param>
    /// <param name="cell">Its number, for messages.</param>
    /// <param name="output">Where it shows things; the value of the last expression is returned instead.</param>
    /// <param name="token">The wish to stop.</param>
    public async Task<CellResult> RunCellAsync(string code, int cell, ICellOutput output, CancellationToken token)
    {
        var parts = CellPart.Split(code);
        var lines = new Dictionary<int, MagicLine>();
        foreach (var part in parts.Where(part => part.IsMagic))
        {
            try
            {
                lines[part.FirstLine] = MagicLine.Parse(part.Text, magics);
            }
            catch (UserErrorException wrong)
            {
                return new(null, new(CellFailure.UserError, [new(cell, part.FirstLine, wrong.Message)]));
            }
        }
        return await CellScope.Within(output, token, async scope =>
        {
            var result = CellResult.Nothing;
            foreach (var part in parts)
            {
                if (result.Value is not null)
                    scope.Display(result.Value);
                result = part.IsMagic
                    ? await RunMagicAsync(lines[part.FirstLine], part.FirstLine, cell, scope)
                    : await csharp.RunPartAsync(part.Text, cell, part.FirstLine, token);
                if (!result.Succeeded)
                    return result;
            }
            // Code that takes an interrupt for its end, and gives what it has, does not make the next cell run.
            if (!token.IsCancellationRequested)
                return result;
            if (result.Value is not null)
                scope.Display(result.Value);
            return new(null, CellFailure.InterruptedIn(cell));
        });
    }

    private async Task<CellResult> RunMagicAsync(MagicLine line, int at, int cell, CellScope scope)
    {
        try
        {
            scope.Cancellation.ThrowIfCancellationRequested();
            // Off the host's thread: a handler that computes without awaiting must not keep the host from hearing an interrupt.
            await Task.Run(() => line.Magic.Handler(new MagicCall(line, scope, csharp, scope.Cancellation)), CancellationToken.None);
            return CellResult.Nothing;
        }
        catch (Exception failure)
        {
            var described = CellErrors.Describe(failure, cell, "", scope.Cancellation);
            return new(null, described with { Messages = [.. described.Messages.Select(message => message with { Line = at })] });
        }
    }
}
