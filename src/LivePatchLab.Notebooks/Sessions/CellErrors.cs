using System.Diagnostics;
using System.Reflection;
using System.Text.RegularExpressions;
using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks;

/// <summary>Turns an exception into the line that the user sees: where in the cell, what type, what message. Frames of the lab are not shown.</summary>
internal static partial class CellErrors
{
    public static CellFailure Describe(Exception exception, int cell, string cellName, CancellationToken token)
    {
        var cause = Unwrapped(exception);
        if (cause is CellLeftBehindException)
            return new(CellFailure.Interrupted, [new(cell, null, cause.Message)]);
        if (token.IsCancellationRequested && IsInterruption(cause))
            return CellFailure.InterruptedIn(cell, cause is CellInterruptedException ? cause.Message : "interrupted");
        var (line, deeper) = Place(cause, cellName);
        if (cause is UserErrorException or BadInputException or UnsupportedInputException)
            return new(CellFailure.UserError, [new(cell, line, OneLine(cause.Message))]);
        var text = $"{cause.GetType().Name}: {OneLine(cause.Message)}";
        for (var inner = cause.InnerException; inner is not null; inner = inner.InnerException)
            text += $" — caused by {inner.GetType().Name}: {OneLine(inner.Message)}";
        return new(cause.GetType().Name, [new(cell, line, deeper is null ? text : $"{text} (thrown at {deeper})")]);
    }

    public static Exception Unwrapped(Exception exception) => exception switch
    {
        AggregateException { InnerExceptions.Count: 1 } or TargetInvocationException { InnerException: not null } => Unwrapped(exception.InnerException!),
        _ => exception,
    };

    /// <summary>What code throws that was interrupted; of a loop on several threads, what each of them has thrown.</summary>
    private static bool IsInterruption(Exception exception)
        => exception is OperationCanceledException or ThreadInterruptedException
            || (exception is AggregateException several && several.InnerExceptions.All(IsInterruption));

    /// <summary>The line of a cell in which something was thrown: "cell 3, line 4"; null where no cell's code had a part in it.</summary>
    public static string? ThrownIn(Exception exception) => CellFrames(exception) is [var (file, line), ..] ? $"{file}, line {line}" : null;

    public static string OneLine(string message) => message.ReplaceLineEndings(" ").Trim();

    /// <summary>The line of this cell that led to the exception and, when it was thrown in code of an earlier cell, that place.</summary>
    private static (int? Line, string? Deeper) Place(Exception exception, string cellName)
    {
        var frames = CellFrames(exception);
        var here = frames.Where(frame => frame.File == cellName).Select(frame => (int?)frame.Line).FirstOrDefault();
        return (here, frames.Length > 0 && frames[0].File != cellName ? $"{frames[0].File}, line {frames[0].Line}" : null);
    }

    /// <summary>The frames of cells, the innermost first.</summary>
    private static (string File, int Line)[] CellFrames(Exception exception) =>
    [
        .. new StackTrace(exception, fNeedFileInfo: true).GetFrames()
            .Where(frame => frame.GetFileLineNumber() > 0 && frame.GetFileName() is { } file && CellFile().IsMatch(file))
            .Select(frame => (frame.GetFileName()!, frame.GetFileLineNumber())),
    ];

    [GeneratedRegex(@"^cell \d+$")]
    private static partial Regex CellFile();
}
